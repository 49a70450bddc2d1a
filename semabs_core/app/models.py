"""The models behind the page: loaded once, asked by one visitor after the other."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semabs_core.config import SemabsConfig
from semabs_core.description import check_classes, parse_description
from semabs_core.embedded_tiles import EmbeddedTiles
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.relevancy import OnProgress, for_networks
from semabs_core.types import BroughtRelevancy, Completion, Localization, RGBDFrame
from semabs_core.vocabulary import never_shown

PICTURES = 4
"""Of so many pictures what the encoder saw is kept, so that other labels come at once."""


@dataclass(frozen=True)
class SceneAnswer:
    """What is said about a frame.

    Attributes:
        completion: of the classes.
        localization: of the sentence; None where none was given.
        notes: warnings for people.
    """

    completion: Completion
    localization: Localization | None
    notes: list[str]


class Models:
    """Encoder and networks. Any number of threads may ask: the models answer one at a time.

    Args:
        config: what to load.
        device: overrides the config's, see :meth:`SceneUnderstanding.from_config`.
    """

    def __init__(self, config: SemabsConfig, device: str | None = None) -> None:
        # An answer is to depend on nobody else's picture.
        relevancy = replace(config.relevancy, still_tolerance=0.0)
        self.scene = SceneUnderstanding.from_config(replace(config, relevancy=relevancy), device)
        self._lock = threading.Lock()
        self._tiles: OrderedDict[bytes, list[EmbeddedTiles]] = OrderedDict()
        self._frame: RGBDFrame | None = None

    @property
    def words(self) -> list[str] | None:
        """The things that the encoder knows; None where nobody noted them."""
        known = self.scene.presence.known
        return known.things if known else None

    def warnings(self, names: Sequence[str]) -> list[str]:
        """What weakens answers about some names, for people."""
        notes = []
        if unknown := never_shown(self.scene.unknown_words(names)):
            notes.append(f"{unknown}: answers about it mean nothing")
        if self.scene.untrained:
            notes.append(f"{', '.join(self.scene.untrained)} untrained: answers mean nothing")
        return notes

    def relevancy(
        self, image: NDArray[np.uint8], labels: list[str], on_progress: OnProgress | None = None
    ) -> NDArray[np.float32]:
        """Where a picture supports each label, less the mean map (step 7).

        Args:
            image: (H, W, 3) uint8.
            labels: L names.
            on_progress: called between batches of tiles; raise from it to stop.

        Returns:
            (L, H, W) float32; of all tiles, since a picture alone does not tell which are too near.

        Raises:
            ValueError: if there is no label, an empty or a repeated one, or no usable picture.
        """
        names = check_classes(labels)
        extractor, chosen = self.scene.extractor, self.scene.chosen
        everything = [*names, *chosen.mean_vocabulary]
        with self._lock:
            tiles = self._seen(image, on_progress)
            maps = extractor.maps(tiles, image.shape[:2], everything, chosen.prompts)
        found, basis = maps[: len(names)], maps[len(names) :]
        mean = basis.mean(axis=0) if len(basis) else np.zeros(image.shape[:2], np.float32)
        return for_networks(found, mean)

    def _seen(
        self, image: NDArray[np.uint8], on_progress: OnProgress | None
    ) -> list[EmbeddedTiles]:
        """What the encoder sees in a picture; the image tower runs once for each."""
        key = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
        if key not in self._tiles:
            self._tiles[key] = list(self.scene.extractor.embed(image, on_progress))
        self._tiles.move_to_end(key)
        while len(self._tiles) > PICTURES:
            self._tiles.popitem(last=False)
        return self._tiles[key]

    def ask(
        self,
        frame: RGBDFrame,
        classes: list[str],
        sentence: str,
        on_progress: OnProgress | None = None,
        brought: BroughtRelevancy | None = None,
    ) -> SceneAnswer:
        """Complete a frame and localize what a sentence describes.

        What is known of a frame is kept until another one is asked about.

        Args:
            frame: what the camera measured.
            classes: names.
            sentence: such as ``the mug behind the lamp``; empty for none.
            on_progress: called as ``(stage, fraction)``; raise from it to stop.
            brought: relevancy that came with the frame, in the place of the encoder's.

        Raises:
            ValueError: if the words cannot be understood or the frame cannot be used.
        """
        names = check_classes(classes)
        wanted = parse_description(sentence, self.scene.relations) if sentence.strip() else None
        with self._lock:
            if self._frame is not frame:
                self._frame = None
                self.scene.set_frame(frame)
                if brought and brought.maps:
                    self.scene.set_relevancy(brought.maps, brought.centred)
                self._frame = frame
            completion = self.scene.complete(names, on_progress)
            localization = None
            if wanted:
                parts = (wanted.target, wanted.relation, wanted.reference)
                localization = self.scene.localize(*parts, on_progress)
        asked = [*names, *(wanted.names if wanted else [])]
        notes = [*self.warnings(asked), *(brought.notes if brought else [])]
        if completion is not None and completion.left_out:
            notes.append(completion.left_out)
        return SceneAnswer(completion, localization, notes)
