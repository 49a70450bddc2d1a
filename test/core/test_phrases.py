"""Phrases: what they are true of, and which are drawn."""

import numpy as np

from semabs_core.data.phrases import (
    DIFFERENT,
    MATCH,
    UNKNOWN,
    Phrase,
    PhraseVocabulary,
    draw_sentences,
)


def test_phrases_are_true_of_what_they_name():
    vocabulary = PhraseVocabulary(["mug", "red mug", "blue mug", "sofa", "wall"], {"sofa": "couch"})
    assert vocabulary.classes == ["mug", "sofa", "wall"]
    phrases = [
        Phrase("mug", frozenset(["mug"])),
        Phrase("red mug", frozenset(["mug"]), "red"),
        Phrase("couch", frozenset(["sofa"])),
    ]
    expected = np.array(
        [
            [MATCH, UNKNOWN, DIFFERENT],
            [MATCH, MATCH, DIFFERENT],
            [MATCH, DIFFERENT, DIFFERENT],
            [DIFFERENT, DIFFERENT, MATCH],
            [DIFFERENT, DIFFERENT, DIFFERENT],
        ]
    )
    np.testing.assert_array_equal(vocabulary.matches(phrases), expected)
    expected[1:3, 1] = UNKNOWN  # random colours belie the names
    np.testing.assert_array_equal(vocabulary.matches(phrases, use_colors=False), expected)


def test_every_class_is_named_and_synonyms_and_colours_occur():
    vocabulary = PhraseVocabulary(["mug", "red mug", "sofa"], {"sofa": "couch"})
    rng = np.random.default_rng(0)
    drawn = [vocabulary.draw(colored=1, rng=rng) for _ in range(40)]
    assert {len(phrases) for phrases in drawn} == {3}
    texts = {phrase.text for phrases in drawn for phrase in phrases}
    assert texts == {"mug", "red mug", "sofa", "couch"}
    sentences, pairs = draw_sentences(["mug", "sofa"], 20, rng)
    assert pairs.shape == (20, 2)
    for sentence, (target, reference) in zip(sentences, pairs, strict=True):
        assert sentence.startswith(["mug ", "sofa "][target])
        assert sentence.endswith([" a mug", " a sofa"][reference])
