"""Sentences to target, relation and reference."""

import pytest

from semabs_core.description import (
    SYNONYMS,
    Description,
    DescriptionError,
    RelationError,
    canonical_relation,
    make_description,
    parse_description,
)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("the mug behind the lamp", ("mug", "behind", "lamp")),
        ("mug behind lamp", ("mug", "behind", "lamp")),
        ("Where is the red mug, to the left of the lamp?", ("red mug", "on the left of", "lamp")),
        ("book left of the laptop", ("book", "on the left of", "laptop")),
        ("a pen at the right side of my keyboard",) + (None,),
        ("keys left on the counter", ("keys", "on", "counter")),
        ("the harry potter book on top of a shelf", ("harry potter book", "on", "shelf")),
        ("please find me the bottle inside the fridge.", ("bottle", "in", "fridge")),
        ("the ball that is hidden behind the sofa", ("ball", "behind", "sofa")),
        ("mug standing in front of the box", ("mug", "in front of", "box")),
        ("mug in the box", ("mug", "in", "box")),
        (
            "hair dryer with its wires all tangled up behind table legs",
            ("hair dryer with its wires all tangled up", "behind", "table legs"),
        ),
        ("my carry on bag on the bed", ("carry on bag", "on", "bed")),
        ("a plug in heater behind the couch", ("plug in heater", "behind", "couch")),
        ("cup behind the box on the table", ("cup", "behind", "box on the table")),
        ("sun screen bottle IN pink make up bag", ("sun screen bottle", "in", "pink make up bag")),
        ("poster of vietnam on the wall", ("poster of vietnam", "on", "wall")),
    ],
)
def test_sentences(sentence, expected):
    if expected is None:
        # "at the right side of" is not a known phrase; "right side" must not become the target.
        with pytest.raises(DescriptionError):
            parse_description(sentence)
        return
    assert parse_description(sentence) == Description(*expected)


@pytest.mark.parametrize("relation", list(SYNONYMS))
def test_every_synonym_is_understood_in_a_sentence_and_as_a_relation(relation):
    for phrase in SYNONYMS[relation]:
        assert canonical_relation(phrase) == relation
        assert canonical_relation(f"  {phrase.upper()} ") == relation
        parsed = parse_description(f"the blue mug {phrase} the lamp")
        assert parsed == Description("blue mug", relation, "lamp")


@pytest.mark.parametrize(
    "phrase", ["beneath", "under", "underneath", "next to", "above", "near", "between", "beside"]
)
def test_relations_that_the_networks_do_not_know_are_refused_by_name(phrase):
    with pytest.raises(RelationError, match=f"unknown relation '{phrase}'; known are: in, behind"):
        parse_description(f"the mug {phrase} the lamp")


@pytest.mark.parametrize(
    ("sentence", "match"),
    [
        ("", "the sentence is empty"),
        ("  ?! ", "the sentence is empty"),
        ("the mug", "no spatial relation in 'the mug'; say for example"),
        ("behind the lamp", "nothing stands before 'behind'"),
        ("the mug behind", "nothing follows 'behind'"),
        ("the mug behind the", "the reference has no words"),
        ("the behind the lamp", "the target has no words"),
    ],
)
def test_incomplete_sentences_say_what_is_missing(sentence, match):
    with pytest.raises(DescriptionError, match=match):
        parse_description(sentence)


def test_parts_are_cleaned_and_checked():
    assert make_description(" the  mug ", "On Top Of", "a table.") == Description(
        "mug", "on", "table"
    )
    with pytest.raises(DescriptionError, match="the target has no words"):
        make_description(" ", "on", "table")
    with pytest.raises(DescriptionError, match="the reference has no words: 'the'"):
        make_description("mug", "on", "the")
    with pytest.raises(RelationError, match="unknown relation ''"):
        make_description("mug", "", "table")


def test_sentence_as_clip_spatial_reads_it():
    assert Description("mug", "on", "table").sentence == "mug on a table"
