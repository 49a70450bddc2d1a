"""Sentences to target, relation and reference."""

import pytest

from semabs_core.description import (
    MAX_NAME_LENGTH,
    MAX_SENTENCE_LENGTH,
    SYNONYMS,
    Description,
    DescriptionError,
    RelationError,
    canonical_relation,
    check_classes,
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
        ("a pen at the right side of my keyboard", ("pen", "on the right of", "keyboard")),
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
    assert parse_description(sentence) == Description(*expected)


@pytest.mark.parametrize("relation", list(SYNONYMS))
def test_every_synonym_is_understood_in_a_sentence_and_as_a_relation(relation):
    known = tuple(SYNONYMS)
    for phrase in SYNONYMS[relation]:
        assert canonical_relation(phrase, known) == relation
        assert canonical_relation(f"  {phrase.upper()} ", known) == relation
        parsed = parse_description(f"the blue mug {phrase} the lamp", known)
        assert parsed == Description("blue mug", relation, "lamp")


@pytest.mark.parametrize(
    "phrase", ["beneath", "under", "underneath", "next to", "above", "near", "between", "beside"]
)
def test_relations_that_the_networks_do_not_know_are_refused_by_name(phrase):
    with pytest.raises(RelationError, match=f"unknown relation '{phrase}'; known are: in, behind"):
        parse_description(f"the mug {phrase} the lamp")


def test_a_network_that_knows_another_relation_is_asked_for_it():
    known = ("in", "under")
    expected = Description("mug", "under", "table")
    assert parse_description("the mug underneath the table", known) == expected
    assert make_description("mug", "below", "table", known) == expected
    with pytest.raises(RelationError, match="unknown relation 'behind'; known are: in, under"):
        parse_description("the mug behind the lamp", known)


@pytest.mark.parametrize(
    ("sentence", "match"),
    [
        ("", "the sentence is empty"),
        ("  ?! ", "the sentence is empty"),
        ("a pen, right side of the keyboard", "no known spatial relation in 'a pen, right side of"),
        ("behind the lamp", "nothing stands before 'behind'"),
        ("the mug behind", "nothing follows 'behind'"),
        ("the mug behind the", "the reference has no words"),
        ("the behind the lamp", "the target has no words"),
        ("the mug on the left", "'on' in 'the mug on the left' is followed by a side, 'left': say"),
        ("mug on my right hand side.", "is followed by a side, 'right hand side': say of what"),
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


@pytest.mark.parametrize(
    ("sentence", "target"),
    [
        ("mug", "mug"),
        ("Where is the mug?", "mug"),
        ("find my left glove", "left glove"),
        ("a poster of vietnam that is hanging", "poster of vietnam"),
    ],
)
def test_a_thing_alone_is_a_description_too(sentence, target):
    found = parse_description(sentence)
    assert found == Description(target) == make_description(f"the {target}", " ", "")
    assert (found.words, found.names) == (target, [target])


def test_words_and_names_of_a_description():
    found = Description("mug", "behind", "lamp")
    assert (found.words, found.names) == ("mug behind lamp", ["mug", "lamp"])


def test_sentence_as_clip_spatial_reads_it():
    assert Description("mug", "on", "table").sentence == "mug on a table"


def test_class_names_are_cleaned_and_checked():
    assert check_classes(["the mug", " a  table. "]) == ["mug", "table"]
    assert len(check_classes([f"thing {i}" for i in range(254)])) == 254
    for classes, match in [
        ([], "1 to 254 classes, got 0"),
        ([f"thing {i}" for i in range(255)], "1 to 254 classes, got 255"),
        ("mug", "classes must be a list of names, got 'mug'"),
        (["mug", 5], "classes must be a list of names"),
        (["mug", "the mug"], "classes must differ, repeated: mug"),
        (["Mug", "bed", "the mug"], "classes must differ, repeated: Mug, mug"),
        (["mug", " "], "class name has no words"),
    ]:
        with pytest.raises(ValueError, match=match):
            check_classes(classes)


LONG = "x" * 10_000


def test_names_and_sentences_of_the_greatest_length_are_read():
    name = "x" * MAX_NAME_LENGTH
    assert check_classes([name]) == [name]
    assert make_description(name, "on", name) == Description(name, "on", name)
    sentence = f"{name} on {name}"
    assert parse_description(sentence.ljust(MAX_SENTENCE_LENGTH)).target == name


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: check_classes([LONG]),
            "the class name has 10000 characters, at most 200 are allowed",
        ),
        (lambda: check_classes(["x" * 201]), "the class name has 201 characters"),
        (lambda: make_description(LONG, "on", "table"), "the target has 10000 characters"),
        (lambda: make_description("mug", "on", LONG), "the reference has 10000 characters"),
        (lambda: make_description("mug", LONG, "table"), "unknown relation 'xxx"),
        (lambda: parse_description(LONG), "the sentence has 10000 characters, at most 500"),
        (lambda: parse_description("x" * 300 + " on table"), "the target has 300 characters"),
        (lambda: parse_description("x" * 400), "the target has 400 characters"),
        (lambda: check_classes(LONG), "must be a list of names"),
        (
            lambda: check_classes([f"{i} {LONG[:180]}" for i in range(99)] * 2),
            "classes must differ",
        ),
        (lambda: check_classes(["\x1b[31m\n", LONG, 5]), "must be a list of names"),
    ],
)
def test_long_texts_are_refused_in_few_words(call, match):
    with pytest.raises(ValueError, match=match) as caught:
        call()
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
