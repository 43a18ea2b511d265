"""Every word of the captions is one token, also after saving and loading; other words fall apart into letters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer

from dragonkit import toybox
from dragonkit.toybox.training.text import build_text_encoder, build_tokenizer, token_ids

WORDS = ["a", "fish", "fishing", "red", "reddish", "shred", "on"]


@pytest.mark.parametrize("words", [WORDS, toybox.vocabulary()], ids=["tricky words", "the vocabulary"])
def test_words_are_single_tokens_also_after_a_reload(words: list[str], tmp_path: Path) -> None:
    tokenizer = build_tokenizer(words, 8)
    tokenizer.save_pretrained(tmp_path)
    reloaded = CLIPTokenizer.from_pretrained(tmp_path)
    for one in (tokenizer, reloaded):
        ids = [one(word).input_ids for word in words]
        assert all(len(word_ids) == 3 for word_ids in ids)
        assert len({word_ids[1] for word_ids in ids}) == len(words)
        assert {(start, end) for start, _, end in ids} == {(one.bos_token_id, one.eos_token_id)}
    assert [reloaded(word).input_ids for word in words] == [tokenizer(word).input_ids for word in words]
    assert reloaded.model_max_length == 8 and len(reloaded) == len(tokenizer)


def test_captions_come_back_from_their_tokens() -> None:
    tokenizer = build_tokenizer(toybox.vocabulary(), 40)
    for seed in range(10):
        caption = toybox.scene(seed=seed, size=32).caption
        ids = tokenizer(caption).input_ids
        assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ,", ",").strip() == caption
        assert len(ids) <= 40


def test_other_words_fall_apart_into_letters() -> None:
    tokenizer = build_tokenizer(WORDS, 16)
    assert len(tokenizer("zyx").input_ids) == 2 + 3
    assert tokenizer.unk_token_id not in tokenizer("zyx").input_ids[1:-1]


def test_words_that_cannot_be_one_token_are_refused() -> None:
    with pytest.raises(ValueError, match="the tokenizer splits 'two words'"):
        build_tokenizer(["fish", "two words"], 8)


def test_token_ids_are_padded_and_cut() -> None:
    tokenizer = build_tokenizer(WORDS, 6)
    ids = token_ids(tokenizer, ["a red fish", "", "red " * 20])
    assert ids.shape == (3, 6) and ids.dtype == torch.int64
    assert (ids[:, 0] == tokenizer.bos_token_id).all() and (ids[:, -1] == tokenizer.eos_token_id).all()


def test_the_text_encoder_fits_its_tokenizer() -> None:
    tokenizer = build_tokenizer(WORDS, 6)
    encoder = build_text_encoder(tokenizer, width=32, layers=1)
    with torch.no_grad():
        embeds = encoder(token_ids(tokenizer, ["a red fish", "a fish"])).last_hidden_state
    assert embeds.shape == (2, 6, 32)
    assert encoder.config.vocab_size == len(tokenizer)
    assert not torch.allclose(embeds[0], embeds[1])
