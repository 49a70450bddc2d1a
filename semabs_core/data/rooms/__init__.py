"""Procedural rooms of closed shapes: pictures, depth, object ids, ground truth, sentences."""

from semabs_core.data.rooms.classes import NOVEL_CLASSES, base_class, class_names, is_novel
from semabs_core.data.rooms.generate import generate_rooms
from semabs_core.data.rooms.room import RoomOptions, make_room
from semabs_core.data.rooms.sheet import contact_sheet

__all__ = [
    "NOVEL_CLASSES",
    "RoomOptions",
    "base_class",
    "class_names",
    "contact_sheet",
    "generate_rooms",
    "is_novel",
    "make_room",
]
