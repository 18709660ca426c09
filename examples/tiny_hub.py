"""A folder that stands for the hub of models: in it, a small model where `transformers` looks for its sentiment model.

    eval "$(python -m examples.tiny_hub /tmp/hub)"
    python -c 'from transformers import pipeline; print(pipeline("sentiment-analysis")("Great product!"))'

The model is a real one, a DistilBERT with one layer, trained on ten phrases in a second or two.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from examples.tiny_sentiment import BLAME, PRAISE

COMMIT = "0" * 40
LABELS = ("NEGATIVE", "POSITIVE")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
STEPS = 60


def build(folder: Path) -> dict[str, str]:
    """Make the model.

    Args:
        folder: Where; made if missing.

    Returns:
        The variables of the environment with which `transformers` finds it.
    """
    name, revision = _default_model()
    home = folder.absolute() / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    if not (snapshot / "config.json").exists():
        (home / "refs").mkdir(parents=True, exist_ok=True)
        (home / "refs" / revision).write_text(COMMIT)
        tokenizer = _tokenizer()
        tokenizer.save_pretrained(snapshot)
        _trained(tokenizer).save_pretrained(snapshot)
    return {"HF_HOME": str(folder.absolute()), "HF_HUB_OFFLINE": "1"}


def _default_model() -> tuple[str, str]:
    """Name and revision of the model that the pipeline takes where none is named."""
    from transformers.pipelines import SUPPORTED_TASKS

    default = SUPPORTED_TASKS["text-classification"]["default"]["model"]
    name, revision = default["pt"] if isinstance(default, dict) else default
    return name, revision


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for phrase in (*PRAISE, *BLAME) for word in phrase.lower().replace(",", " ").split()})
    letters = "abcdefghijklmnopqrstuvwxyz!?.,'"
    vocabulary = list(dict.fromkeys((*SPECIAL, *words, *letters, *(f"##{letter}" for letter in letters))))
    ids = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **roles)


def _trained(tokenizer: Any) -> Any:
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    torch.manual_seed(7)
    config = DistilBertConfig(
        vocab_size=len(tokenizer),
        dim=32,
        hidden_dim=64,
        n_heads=2,
        n_layers=1,
        max_position_embeddings=128,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    model = DistilBertForSequenceClassification(config)
    batch = tokenizer([*BLAME, *PRAISE], padding=True, return_tensors="pt", return_token_type_ids=False)
    labels = torch.tensor([0] * len(BLAME) + [1] * len(PRAISE))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a small model where transformers looks for its own.")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    for name, value in build(arguments.folder).items():
        print(f"export {name}={json.dumps(value)}")


if __name__ == "__main__":
    main()
