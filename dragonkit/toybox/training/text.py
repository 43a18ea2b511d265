"""Words in: a CLIP tokenizer and a small CLIP text encoder whose vocabulary is exactly the words of the captions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from string import ascii_lowercase

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(words: Sequence[str], length: int) -> CLIPTokenizer:
    """A tokenizer that gives every one of `words` a single id; other words fall apart into letters.

    `CLIPTokenizer` rebuilds its byte-pair model from `vocab` and `merges` when it is loaded, so whole words have to be reachable by
    merges. Byte-pair training on the word list, run to its end, gives such merges by construction.

    Args:
        words: lower-case words.
        length: the number of tokens a caption is padded or cut to, start and end included.
    """
    letters = [*ascii_lowercase, *(f"{letter}</w>" for letter in ascii_lowercase)]
    bpe = Tokenizer(BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = Whitespace()
    trainer = BpeTrainer(
        vocab_size=100_000, min_frequency=1, end_of_word_suffix="</w>", initial_alphabet=list(ascii_lowercase), show_progress=False
    )
    bpe.train_from_iterator(sorted(set(words)), trainer)
    trained = json.loads(bpe.to_str())["model"]
    pieces = [START, END, *letters, *sorted(set(trained["vocab"]) - set(letters))]
    tokenizer = CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[tuple(pair) for pair in trained["merges"]],
        model_max_length=length,
    )
    for word in words:
        if len(tokenizer(word).input_ids) != 3:
            raise ValueError(f"the tokenizer splits {word!r}, which should be one token; give lower-case words of letters only")
    return tokenizer


def build_text_encoder(tokenizer: CLIPTokenizer, width: int, layers: int) -> CLIPTextModel:
    """A small CLIP text transformer with random weights, `width` channels wide."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 32),
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def token_ids(tokenizer: CLIPTokenizer, captions: Sequence[str]):
    """Token ids, int64 (captions, length)."""
    return tokenizer(
        list(captions), padding="max_length", truncation=True, max_length=tokenizer.model_max_length, return_tensors="pt"
    ).input_ids
