#!/usr/bin/env python3
"""Write the golden files that the Rust tests compare the encoder, losses and optimisers with.

For BERT and DistilBERT it writes a tiny random model and what PyTorch and Transformers
compute with it, so that the Rust tests need no Python:

    crates/limbeck-model/tests/golden/{bert,distilbert}/
        config.json          as Transformers' save_pretrained writes it
        model.safetensors    the starting parameters
        expected.safetensors inputs and expected results, described below
    crates/limbeck-model/tests/golden/{bert,distilbert}-classification/
        the same of a smaller model with a classification head
    crates/limbeck-model/tests/golden/{bert,distilbert}-masked-word/
        the same of a smaller model with a masked-word head

Tensors of expected.safetensors. `rows` is the number of tokens of all sequences together;
the sequences lie end to end and there is no padding anywhere.

    input_ids             int32 [rows]           never the padding id, see below
    token_type_ids        int32 [rows]           DistilBERT ignores them
    starts                int32 [sequences + 1]  row where each sequence begins, and the total
    start_positions       int32 [sequences]      target token, counted within the sequence
    end_positions         int32 [sequences]
    hidden_states.{i}     [rows, hidden]         0 is the output of the embeddings
    start_logits          [rows]
    end_logits            [rows]
    lengths.{plan}        [rows, hidden]         last hidden states where tokens leave, see
                                                 `forward_leaving`
    loss                  [1]                    mean over sequences of (CE_start + CE_end) / 2
    grad.{name}           gradient of `loss` for every parameter
    teacher_start_logits  [rows]                 random
    teacher_end_logits    [rows]
    distill_loss          [1]                    ALPHA_SOFT * soft + ALPHA_HARD * loss, with
                                                 soft = T^2 * mean over sequences of
                                                        (KL_start + KL_end) / 2,
                                                 KL = sum p_t (log p_t - log p_s),
                                                 p = softmax(logits / T) over one sequence
    distill_grad.{name}   gradient of `distill_loss`
    inside_{i}_loss       [1]                    distances of hidden states and attention from those
                                                 of the same model with its layers the other way
                                                 round, see `inside_loss` and INSIDE
    inside_{i}_grad.{name} gradient of `inside_{i}_loss`
    after.{name}          parameters after STEPS AdamW steps on `loss`
    after_google.{name}   parameters after STEPS steps of Google BERT's optimiser with the
                          constants of the Habana recipe

How tokenizers cut texts is a file of its own, see `golden_tokenizers.py`, which is called at the end.

The optimisers are written out in `adamw` and `google_bert`. Both clip the gradient to a
global norm of MAX_GRAD_NORM before every step. Optimiser step s counts from 0, so the
learning rate of the first step is 0.

A classification head has one row of logits for each sequence instead of two for each token:

    labels                int32 [sequences]      the right label
    logits                [sequences, labels]
    loss                  [1]                    mean over sequences of the cross-entropy
    grad.{name}           gradient of `loss` for every parameter

A masked-word head has one row of logits for each masked token (`*-masked-word/`); the inputs are
the tokens as they are shown to the model:

    masked_rows           int32 [masked]         rows of the tokens to be guessed
    masked_ids            int32 [masked]         the right tokens
    logits                [masked, vocabulary]
    loss                  [1]                    mean over masked tokens of the cross-entropy
    grad.{name}           gradient of `loss` for every parameter; that of the word embeddings
                          holds the decoder's share, whose weight they are
    teacher_logits.{i}    [masked, vocabulary]   random, of two teachers with TEACHER_SHARES
    distill_loss          [1]                    ALPHA_SOFT * soft + ALPHA_HARD * loss, with
                                                 soft = T^2 * mean over masked tokens of
                                                        sum over teachers of share * KL
    distill_grad.{name}   gradient of `distill_loss`
    one_sided_loss        [1]                    the same without T^2 and with the temperature on
                                                 the teachers alone: the cross-entropy of the
                                                 student's softmax against their mixed ones
    one_sided_grad.{name} gradient of `one_sided_loss`

Everything is computed in float64 from the float32 parameters and then rounded to float32:
a test sees only the rounding of what it tests. `--compare-float32` prints how far float32
PyTorch is from these values, which tells what a tolerance has to allow.

Two traps:
  * PyTorch gives the embedding row of the padding id no gradient. Limbeck has no padding,
    so the inputs never use that id.
  * A softmax does not change when all its inputs shift by the same amount. So the biases of
    the keys, the bias of the last LayerNorm and the bias of the span head have a true
    gradient of 0, and what a float32 program computes for them is rounding noise. Adam
    divides a gradient by its own size and so makes steps of that noise. Tests must leave
    these parameters out of `after.*` and `after_google.*`. The metadata of
    expected.safetensors names them, separated by commas, under `zero_gradient`.
"""

import argparse
import copy
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    get_linear_schedule_with_warmup,
)
from transformers.utils.logging import disable_progress_bar

import golden_tokenizers

SEED = 20
VOCABULARY, POSITIONS = 100, 48
LENGTHS = [17, 5, 33, 1, POSITIONS]

ALPHA_SOFT, ALPHA_HARD, TEMPERATURE = 0.7, 0.3, 2.0

STEPS, WARMUP_STEPS, TOTAL_STEPS = 5, 2, 10
PEAK_LEARNING_RATE = 1e-2
MAX_GRAD_NORM = 1.0
WEIGHT_DECAY = 0.05

# How many tokens of a sequence of some length go on after the attention of each layer.
LENGTH_PLANS = {
    "fractions": lambda layer, length: math.ceil(round([0.7, 0.4][layer] * length, 9)),
    "tokens": lambda layer, length: [20, 9][layer],
}

# What is compared of hidden states, and of which form of attention how.
INSIDE = [("squares", "scores", "squares"), ("cosine", "probabilities", "cosine")]

CLASSES = ["NEGATIVE", "NEUTRAL", "POSITIVE"]

TEACHER_SHARES = [0.75, 0.25]


def build_model(name):
    """A tiny model in which every parameter is random, so that a mistake anywhere shows."""
    if name == "bert":
        config = BertConfig(
            vocab_size=VOCABULARY, max_position_embeddings=POSITIONS, type_vocab_size=2,
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, initializer_range=0.15,
        )  # fmt: skip
        model_class = BertForQuestionAnswering
    else:
        config = DistilBertConfig(
            vocab_size=VOCABULARY, max_position_embeddings=POSITIONS,
            dim=32, n_layers=2, n_heads=4, hidden_dim=64,
            dropout=0.1, attention_dropout=0.1, qa_dropout=0.1, initializer_range=0.15,
        )  # fmt: skip
        model_class = DistilBertForQuestionAnswering
    return randomise(model_class, config)


def build_classifier(name):
    """The same, smaller, with a classification head. The two differ in what their files say."""
    classes = {
        "id2label": dict(enumerate(CLASSES)),
        "label2id": {label: index for index, label in enumerate(CLASSES)},
    }
    if name == "bert":
        config = BertConfig(
            vocab_size=VOCABULARY, max_position_embeddings=POSITIONS, type_vocab_size=2,
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, **classes,
        )  # fmt: skip
        model_class = BertForSequenceClassification
    else:
        config = DistilBertConfig(
            vocab_size=VOCABULARY, max_position_embeddings=POSITIONS,
            dim=16, n_layers=1, n_heads=2, hidden_dim=32, dropout=0.1, attention_dropout=0.1,
            seq_classif_dropout=0.3, problem_type="multi_label_classification", **classes,
        )  # fmt: skip
        model_class = DistilBertForSequenceClassification
    return randomise(model_class, config)


def build_masked_word_model(name):
    """The same, smaller, with a masked-word head."""
    if name == "bert":
        config = BertConfig(
            vocab_size=VOCABULARY, max_position_embeddings=POSITIONS, type_vocab_size=2,
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        )  # fmt: skip
        return randomise(BertForMaskedLM, config)
    config = DistilBertConfig(
        vocab_size=VOCABULARY, max_position_embeddings=POSITIONS,
        dim=16, n_layers=1, n_heads=2, hidden_dim=32,
    )  # fmt: skip
    return randomise(DistilBertForMaskedLM, config)


def randomise(model_class, config):
    config._attn_implementation = "eager"
    model = model_class(config)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if is_layer_norm(parameter_name) and parameter_name.endswith("weight"):
                parameter.copy_(1 + 0.3 * noise)
            else:
                parameter.copy_(0.15 * noise)
    return model.eval()  # no dropout anywhere below


def is_layer_norm(parameter_name):
    """Holds for BERT's `LayerNorm` and DistilBERT's `sa_layer_norm` and `output_layer_norm`."""
    return "LayerNorm" in parameter_name or "layer_norm" in parameter_name


def build_batch():
    rows = sum(LENGTHS)
    starts = torch.tensor([0] + LENGTHS).cumsum(0)
    token_type_ids, start_positions, end_positions = [], [], []
    for length in LENGTHS:
        question = int(torch.randint(1, length + 1, (1,)))
        token_type_ids += [0] * question + [1] * (length - question)
        # The end may lie before the start: the loss must not mind.
        start_positions.append(int(torch.randint(0, length, (1,))))
        end_positions.append(int(torch.randint(0, length, (1,))))
    return {
        "input_ids": torch.randint(1, VOCABULARY, (rows,)),
        "token_type_ids": torch.tensor(token_type_ids),
        "starts": starts,
        "start_positions": torch.tensor(start_positions),
        "end_positions": torch.tensor(end_positions),
        "teacher_start_logits": 2 * torch.randn(rows, dtype=torch.float32),
        "teacher_end_logits": 2 * torch.randn(rows, dtype=torch.float32),
    }


def sequences(batch):
    """The half-open range of rows of each sequence."""
    starts = batch["starts"].tolist()
    return [slice(begin, end) for begin, end in zip(starts, starts[1:])]


def forward(model, batch):
    """Runs every sequence alone, so without padding or mask, and lays the results end to end."""
    starts, ends, hidden = [], [], []
    for rows in sequences(batch):
        inputs = {"input_ids": batch["input_ids"][rows].unsqueeze(0)}
        if model.config.model_type == "bert":
            inputs["token_type_ids"] = batch["token_type_ids"][rows].unsqueeze(0)
        output = model(**inputs, output_hidden_states=True)
        starts.append(output.start_logits[0])
        ends.append(output.end_logits[0])
        hidden.append([state[0] for state in output.hidden_states])
    hidden_states = [torch.cat(states) for states in zip(*hidden)]
    assert len(hidden_states) == model.config.num_hidden_layers + 1
    return torch.cat(starts), torch.cat(ends), hidden_states


def layer_parts(model, layer):
    """The linear layers and norms of one layer, under one set of names."""
    if model.config.model_type == "bert":
        block = model.bert.encoder.layer[layer]
        attention, output = block.attention, block.output
        return {
            "query": attention.self.query, "key": attention.self.key,
            "value": attention.self.value, "attention_output": attention.output.dense,
            "attention_norm": attention.output.LayerNorm, "inner": block.intermediate.dense,
            "output": output.dense, "output_norm": output.LayerNorm,
        }  # fmt: skip
    block = model.distilbert.transformer.layer[layer]
    return {
        "query": block.attention.q_lin, "key": block.attention.k_lin,
        "value": block.attention.v_lin, "attention_output": block.attention.out_lin,
        "attention_norm": block.sa_layer_norm, "inner": block.ffn.lin1,
        "output": block.ffn.lin2, "output_norm": block.output_layer_norm,
    }  # fmt: skip


def forward_leaving(model, embedded, kept):
    """The last state of every token of one sequence, `kept(layer, length)` of which go on.

    After a layer's attention the significance of a token is the sum, over heads and queries,
    of the probabilities given to it (Kim and Cho, 2021). The first token stays always, of the
    others the most significant; at least two and at most all. They keep their order. A token
    that has left keeps its state from before the layer.
    """
    heads, hidden = model.config.num_attention_heads, model.config.hidden_size
    size = hidden // heads
    states, places = embedded, torch.arange(len(embedded))
    last = embedded.clone()
    for layer in range(model.config.num_hidden_layers):
        parts = layer_parts(model, layer)
        query, key, value = (
            parts[name](states).view(-1, heads, size).transpose(0, 1)
            for name in ("query", "key", "value")
        )
        probabilities = torch.softmax(query @ key.transpose(1, 2) / size**0.5, -1)
        context = (probabilities @ value).transpose(0, 1).reshape(len(states), hidden)
        stay = min(max(kept(layer, len(embedded)), 2), len(states))
        if stay < len(states):
            significance = probabilities.sum((0, 1))
            others = 1 + significance[1:].argsort(descending=True)[: stay - 1]
            chosen = torch.cat([torch.tensor([0]), others.sort().values])
            states, context, places = states[chosen], context[chosen], places[chosen]
        attended = parts["attention_norm"](parts["attention_output"](context) + states)
        inner = torch.nn.functional.gelu(parts["inner"](attended))
        states = parts["output_norm"](parts["output"](inner) + attended)
        last = last.index_copy(0, places, states)
    return last


def hard_loss(start_logits, end_logits, batch):
    """Mean over sequences of (CE_start + CE_end) / 2."""
    losses = []
    for index, rows in enumerate(sequences(batch)):
        start = -torch.log_softmax(start_logits[rows], 0)[batch["start_positions"][index]]
        end = -torch.log_softmax(end_logits[rows], 0)[batch["end_positions"][index]]
        losses.append((start + end) / 2)
    return torch.stack(losses).mean()


def soft_loss(start_logits, end_logits, batch):
    """T^2 * mean over sequences of (KL_start + KL_end) / 2, with KL(teacher || student)."""

    def divergence(teacher, student):
        log_teacher = torch.log_softmax(teacher / TEMPERATURE, 0)
        log_student = torch.log_softmax(student / TEMPERATURE, 0)
        return (log_teacher.exp() * (log_teacher - log_student)).sum()

    losses = []
    for rows in sequences(batch):
        start = divergence(batch["teacher_start_logits"][rows], start_logits[rows])
        end = divergence(batch["teacher_end_logits"][rows], end_logits[rows])
        losses.append((start + end) / 2)
    return TEMPERATURE**2 * torch.stack(losses).mean()


def other_way_round(model):
    """A copy whose layers come in the other order: a teacher that differs."""
    teacher = copy.deepcopy(model)
    bert = model.config.model_type == "bert"
    holder = teacher.bert.encoder if bert else teacher.distilbert.transformer
    holder.layer = torch.nn.ModuleList(reversed(holder.layer))
    return teacher


def attention_maps(model, layer, states, form):
    """`[heads, queries, keys]` of one sequence: scaled scores or their softmax."""
    parts, heads = layer_parts(model, layer), model.config.num_attention_heads
    size = model.config.hidden_size // heads
    query, key = (
        parts[name](states).view(-1, heads, size).transpose(0, 1) for name in ("query", "key")
    )
    scores = query @ key.transpose(1, 2) / size**0.5
    return scores if form == "scores" else torch.softmax(scores, -1)


def distance(own, wanted, kind):
    """Means over all values, or over all rows, of a list of pairs of tensors."""
    pairs = list(zip(own, wanted))
    if kind == "squares":
        return sum(((a - b) ** 2).sum() for a, b in pairs) / sum(a.numel() for a in own)
    similarity = torch.nn.functional.cosine_similarity
    rows = sum(a.numel() // a.shape[-1] for a in own)
    return sum((1 - similarity(a, b, dim=-1)).sum() for a, b in pairs) / rows


def inside_loss(model, teacher, batch, hidden_kind, form, attention_kind):
    """The sum over hidden states and over layers of the distances from the teacher's."""
    _, _, own = forward(model, batch)
    with torch.no_grad():
        _, _, wanted = forward(teacher, batch)
    loss = sum(distance([a], [b], hidden_kind) for a, b in zip(own, wanted))
    for layer in range(model.config.num_hidden_layers):
        maps = [
            [attention_maps(side, layer, states[layer][rows], form) for rows in sequences(batch)]
            for side, states in ((model, own), (teacher, wanted))
        ]
        loss = loss + distance(maps[0], [wanted.detach() for wanted in maps[1]], attention_kind)
    return loss


def gradients(model, loss):
    parameters = dict(model.named_parameters())
    # Several losses share one forward pass, and some do not reach the head.
    values = list(parameters.values())
    found = torch.autograd.grad(loss, values, retain_graph=True, allow_unused=True)
    found = [torch.zeros_like(v) if g is None else g for g, v in zip(found, values)]
    return dict(zip(parameters, found))


def adamw(model, batch):
    """Five steps of torch.optim.AdamW.

    s counts from 0, t = s + 1, g is the clipped gradient:
        lr(s) = PEAK * s / WARMUP                        for s < WARMUP
              = PEAK * (TOTAL - s) / (TOTAL - WARMUP)    after it
        m = b1 m + (1 - b1) g ;  v = b2 v + (1 - b2) g^2
        p = p (1 - lr wd)        before the Adam step; wd = 0 for biases and LayerNorms
        p = p - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
    with b1 = 0.9, b2 = 0.999, eps = 1e-8.
    """
    decayed, plain = [], []
    for name, parameter in model.named_parameters():
        no_decay = is_layer_norm(name) or name.endswith("bias")
        (plain if no_decay else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP_STEPS, TOTAL_STEPS)
    for _ in range(STEPS):
        model.zero_grad()
        start_logits, end_logits, _ = forward(model, batch)
        hard_loss(start_logits, end_logits, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        schedule.step()


def google_bert(model, batch):
    """Five steps of Google BERT's Adam, without bias correction, as the Habana recipe sets it.

    s counts from 0, g is the clipped gradient:
        lr(s) = PEAK * s / WARMUP                                   for s < WARMUP
              = PEAK / (1 - WARMUP / TOTAL) * (1 - s / TOTAL)       after it
    The division makes the decay begin at PEAK, without a jump after the warm-up.
        m = b1 m + (1 - b1) g ;  v = b2 v + (1 - b2) g^2
        p = p - lr * m * rsqrt(v + eps^2)
    with b1 = 0.8, b2 = 0.95, eps = 1e-6 and no weight decay.
    """
    beta_1, beta_2, epsilon = 0.8, 0.95, 1e-6
    first = [torch.zeros_like(parameter) for parameter in model.parameters()]
    second = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for step in range(STEPS):
        if step < WARMUP_STEPS:
            learning_rate = PEAK_LEARNING_RATE * step / WARMUP_STEPS
        else:
            rescaled = PEAK_LEARNING_RATE / (1 - WARMUP_STEPS / TOTAL_STEPS)
            learning_rate = rescaled * (1 - step / TOTAL_STEPS)
        model.zero_grad()
        start_logits, end_logits, _ = forward(model, batch)
        hard_loss(start_logits, end_logits, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        with torch.no_grad():
            for parameter, m, v in zip(model.parameters(), first, second):
                m.mul_(beta_1).add_(parameter.grad, alpha=1 - beta_1)
                v.mul_(beta_2).addcmul_(parameter.grad, parameter.grad, value=1 - beta_2)
                parameter.sub_(learning_rate * m * torch.rsqrt(v + epsilon**2))


def expect_of_classifier(model, batch, precision):
    """Every tensor of a classifier's expected.safetensors, computed in `precision`."""
    model = model.to(precision)
    logits = []
    for rows in sequences(batch):
        inputs = {"input_ids": batch["input_ids"][rows].unsqueeze(0)}
        if model.config.model_type == "bert":
            inputs["token_type_ids"] = batch["token_type_ids"][rows].unsqueeze(0)
        logits.append(model(**inputs).logits[0])
    logits = torch.stack(logits)
    labels = torch.tensor([index % len(CLASSES) for index in range(len(LENGTHS))])
    loss = torch.nn.functional.cross_entropy(logits, labels)
    expected = {key: batch[key] for key in ("input_ids", "token_type_ids", "starts")}
    expected |= {"labels": labels, "logits": logits, "loss": loss.reshape(1)}
    expected |= {f"grad.{name}": tensor for name, tensor in gradients(model, loss).items()}
    return {name: stored(tensor) for name, tensor in expected.items()}


def expect_of_masked_words(model, batch, precision):
    """Every tensor of a masked-word model's expected.safetensors, computed in `precision`."""
    model = model.to(precision)
    logits = []
    for rows in sequences(batch):
        inputs = {"input_ids": batch["input_ids"][rows].unsqueeze(0)}
        if model.config.model_type == "bert":
            inputs["token_type_ids"] = batch["token_type_ids"][rows].unsqueeze(0)
        logits.append(model(**inputs).logits[0])
    expected = {key: batch[key] for key in ("input_ids", "token_type_ids", "starts")}
    rows = torch.arange(0, len(batch["input_ids"]), 7)
    labels = torch.randint(1, VOCABULARY, (len(rows),))
    logits = torch.cat(logits)[rows]
    hard = torch.nn.functional.cross_entropy(logits, labels)
    teachers = [2 * torch.randn(logits.shape).to(precision) for _ in TEACHER_SHARES]
    softened = [torch.log_softmax(teacher / TEMPERATURE, -1) for teacher in teachers]
    own = torch.log_softmax(logits / TEMPERATURE, -1)
    divergences = [(wanted.exp() * (wanted - own)).sum(-1).mean() for wanted in softened]
    soft = sum(share * value for share, value in zip(TEACHER_SHARES, divergences))
    distill = ALPHA_SOFT * TEMPERATURE**2 * soft + ALPHA_HARD * hard
    mixed = sum(share * wanted.exp() for share, wanted in zip(TEACHER_SHARES, softened))
    against_mixed = -(mixed * torch.log_softmax(logits, -1)).sum(-1).mean()
    one_sided = ALPHA_SOFT * against_mixed + ALPHA_HARD * hard

    expected |= {"masked_rows": rows, "masked_ids": labels, "logits": logits}
    expected |= {f"teacher_logits.{index}": teacher for index, teacher in enumerate(teachers)}
    for prefix, loss in (("", hard), ("distill_", distill), ("one_sided_", one_sided)):
        expected[f"{prefix}loss"] = loss.reshape(1)
        found = gradients(model, loss)
        expected |= {f"{prefix}grad.{name}": tensor for name, tensor in found.items()}
    return {name: stored(tensor) for name, tensor in expected.items()}


def expect(model, batch, precision):
    """Every tensor of expected.safetensors, computed in `precision`."""
    model = model.to(precision)
    batch = {
        name: tensor.to(precision) if tensor.is_floating_point() else tensor
        for name, tensor in batch.items()
    }
    initial = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    expected = dict(batch)

    start_logits, end_logits, hidden_states = forward(model, batch)
    expected["start_logits"], expected["end_logits"] = start_logits, end_logits
    for index, states in enumerate(hidden_states):
        expected[f"hidden_states.{index}"] = states
    embedded = hidden_states[0]
    whole = [forward_leaving(model, embedded[rows], lambda _, n: n) for rows in sequences(batch)]
    assert torch.allclose(torch.cat(whole), hidden_states[-1]), "this forward is another one"
    for plan, kept in LENGTH_PLANS.items():
        states = [forward_leaving(model, embedded[rows], kept) for rows in sequences(batch)]
        expected[f"lengths.{plan}"] = torch.cat(states)
    hard = hard_loss(start_logits, end_logits, batch)
    distill = ALPHA_SOFT * soft_loss(start_logits, end_logits, batch) + ALPHA_HARD * hard
    expected["loss"], expected["distill_loss"] = hard.reshape(1), distill.reshape(1)
    hard_gradients = gradients(model, hard)
    distill_gradients = gradients(model, distill)
    expected |= {f"grad.{name}": tensor for name, tensor in hard_gradients.items()}
    expected |= {f"distill_grad.{name}": tensor for name, tensor in distill_gradients.items()}

    teacher = other_way_round(model)
    for index, kinds in enumerate(INSIDE):
        loss = inside_loss(model, teacher, batch, *kinds)
        expected[f"inside_{index}_loss"] = loss.reshape(1)
        found = gradients(model, loss)
        expected |= {f"inside_{index}_grad.{name}": tensor for name, tensor in found.items()}

    for prefix, train in (("after", adamw), ("after_google", google_bert)):
        model.load_state_dict(initial)
        train(model, batch)
        for name, parameter in model.named_parameters():
            expected[f"{prefix}.{name}"] = parameter.clone()

    return {name: stored(tensor) for name, tensor in expected.items()}


def has_zero_gradient(gradient):
    """Holds where the gradient is 0 but for float64 rounding; the others are above 1e-3."""
    return gradient.abs().max().item() < 1e-9


def stored(tensor):
    """The form in which a tensor is written: float32 or int32, contiguous."""
    dtype = torch.float32 if tensor.is_floating_point() else torch.int32
    return tensor.detach().to(dtype).contiguous()


def report_difference(expected, other, zero_gradient):
    """Prints, for each kind of tensor, how far float32 PyTorch is from the golden values."""
    worst = {}
    for name, tensor in expected.items():
        kind, _, parameter = name.partition(".")
        kind += " (zero gradient)" if parameter in zero_gradient else ""
        difference = (tensor.double() - other[name].double()).abs().max().item()
        worst[kind] = max(worst.get(kind, 0.0), difference)
    for kind, difference in worst.items():
        print(f"  {kind:30} {difference:.1e}")


def write_small(name, head, build, expect, arguments):
    """The golden folder of a small model with another head, or its distance from float32."""
    torch.manual_seed(SEED)
    model, batch = build(name), build_batch()
    start = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    folder = arguments.out / f"{name}-{head}"
    random = torch.get_rng_state()
    if not arguments.compare_float32:
        model.save_pretrained(folder)
    expected = expect(model, batch, torch.float64)
    if arguments.compare_float32:
        model = model.to(torch.float32)
        model.load_state_dict(start)
        torch.set_rng_state(random)
        print(f"{name}, {head}: largest absolute difference of float32")
        report_difference(expected, expect(model, batch, torch.float32), [])
        return
    save_file(expected, folder / "expected.safetensors")
    for file in folder.iterdir():
        file.chmod(0o644)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size / 1000:.0f} kB, loss {expected['loss'].item():.6f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  python tools/golden.py\n"
        "  python tools/golden.py --compare-float32\n",
    )
    parser.add_argument("--out", type=Path, default=Path("crates/limbeck-model/tests/golden"))
    parser.add_argument(
        "--compare-float32", action="store_true",
        help="write nothing; print the distance between float32 and the golden values",
    )  # fmt: skip
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    disable_progress_bar()

    for name in ("bert", "distilbert"):
        torch.manual_seed(SEED)
        model, batch = build_model(name), build_batch()
        start = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        folder = arguments.out / name
        if not arguments.compare_float32:
            model.save_pretrained(folder)
        expected = expect(model, batch, torch.float64)
        zero_gradient = [key for key in start if has_zero_gradient(expected[f"grad.{key}"])]
        if arguments.compare_float32:
            model = model.to(torch.float32)
            model.load_state_dict(start)
            print(f"{name}: largest absolute difference of float32")
            report_difference(expected, expect(model, batch, torch.float32), zero_gradient)
            continue
        metadata = {"zero_gradient": ",".join(zero_gradient)}
        save_file(expected, folder / "expected.safetensors", metadata)
        for file in folder.iterdir():
            file.chmod(0o644)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{folder}: {size / 1000:.0f} kB, loss {expected['loss'].item():.6f}, "
              f"distill loss {expected['distill_loss'].item():.6f}")  # fmt: skip
    for name in ("bert", "distilbert"):
        write_small(name, "classification", build_classifier, expect_of_classifier, arguments)
        build = build_masked_word_model
        write_small(name, "masked-word", build, expect_of_masked_words, arguments)
    if not arguments.compare_float32:
        golden_tokenizers.write_golden()


if __name__ == "__main__":
    main()
