"""Training of the five networks, alone or under ``torchrun``."""

from semabs_core.training.config import TrainingConfig, load_training_config
from semabs_core.training.loop import TrainingError, train
from semabs_core.training.sources import TrainingData

__all__ = ["TrainingConfig", "TrainingData", "TrainingError", "load_training_config", "train"]
