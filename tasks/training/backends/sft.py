"""What the backends `trl` and `unsloth` share: SFTTrainer with rawtune's rows, losses, checkpoints.

The table goes in as it is: rows are looked up by number, so TRL neither tokenises, packs nor truncates. Added to the
trainer are the order of the rows, losses per source, made from hidden states, a rate of their own for trained
embeddings, the divergence from the base, and checkpoints that are whole or absent.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.base.errors import InputError
from tasks.base.records import IGNORED
from tasks.model.loading import dtype_of
from tasks.training.adapter import CONFIG, WEIGHTS
from tasks.training.checkpoints import Checkpoints
from tasks.training.journal import Journal, read_lines, write_lines
from tasks.training.params import KlRows, Precision, TrainingParams
from tasks.training.ranks import add_up, world
from tasks.training.table import Rows, Table, row_order

NO_ROW: Final = -1
"""Fills the last step up where rows do not suffice for all processes; otherwise accelerate would repeat some."""

_TWO: Final = np.zeros(2, dtype=np.int64)
EMPTY: Final = Rows(_TWO, np.full(2, IGNORED), np.arange(2), _TWO)
"""What stands in its place: nothing to learn."""


@dataclass(frozen=True)
class Start:
    """A loaded model, ready for the trainer."""

    model: Any
    peft_config: Any
    """Null where the model carries its adapter already."""
    recompute: bool
    states: Callable[[Any, Any, dict[str, Any]], Any]
    """As `hidden_states`."""


def fit(
    start: Start,
    table: Table,
    model_folder: Path,
    params: TrainingParams,
    journal: Journal,
    checkpoints: Checkpoints,
    out: Path,
) -> dict[str, Any]:
    """Trains a loaded model and writes the adapter to `out`.

    Returns:
        Precision, micro-batch, recompute, and the step that the run was resumed at.
    """
    import torch
    from datasets import Dataset

    on_cpu, dtype = not torch.cuda.is_available(), dtype_of(params.precision)
    order = row_order(len(table), params.epochs, params.seed)
    trainer = trainer_class()(
        model=start.model,
        args=training_arguments(params, checkpoints.root, start.recompute),
        train_dataset=Dataset.from_dict({"row": order + [NO_ROW] * (-len(order) % world())}),
        data_collator=lambda items: collate(table, [item["row"] for item in items]),
        processing_class=_tokenizer(model_folder),
        peft_config=start.peft_config,
    )
    trainer.prepare(params, journal, checkpoints, start.states)
    checkpoint = checkpoints.latest()
    if checkpoint:
        journal.resume(read_lines(checkpoint[0] / "loss.jsonl"), checkpoint[1]["seconds"])
        checkpoints.resumed(checkpoint[1]["step"])
    if not journal.is_given_up:  # by an attempt that ended before it could say so
        trainer.train(resume_from_checkpoint=str(checkpoint[0]) if checkpoint else None)
    if kept := journal.kept(checkpoints):
        for name in (CONFIG, WEIGHTS):
            shutil.copyfile(kept / name, out / name)
    else:
        trainer.model.save_pretrained(out)
    if start.peft_config is not None:
        trainer.model.unload()  # the base is as it was before, for the next job of this process
    four_bit = params.precision is Precision.NF4
    return {
        "base_precision": "nf4" if four_bit else str(dtype).removeprefix("torch."),
        "micro_batch_rows": 1,
        "recompute": "full" if start.recompute else "none",
        "measured_peak_bytes": None if on_cpu else torch.cuda.max_memory_allocated(),
        "resumed_at": checkpoint[1]["step"] if checkpoint else 0,
    }


def training_arguments(params: TrainingParams, folder: Path, recompute: bool) -> Any:
    """TRL's configuration for one process of the group."""
    import torch
    from trl import SFTConfig

    class Arguments(SFTConfig):  # type: ignore[misc]  # trl is untyped here
        n_gpu = 1  # a process has one, however many it sees; transformers would spread a batch over all of them

    on_cpu, dtype = not torch.cuda.is_available(), dtype_of(params.precision)
    # as the planner counts; a split base and a CPU have no 8-bit moments
    eight_bit = not (on_cpu or params.shard_base) and importlib.util.find_spec("bitsandbytes") is not None
    return Arguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=params.batch_size // world(),
        ddp_backend="gloo" if on_cpu and world() > 1 else None,
        ddp_find_unused_parameters=False if world() > 1 else None,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm,
        num_train_epochs=1,
        seed=params.seed,
        # the adapter is kept in float32; on a GPU its products run in the base's precision
        bf16=not on_cpu and dtype == torch.bfloat16,
        fp16=not on_cpu and dtype == torch.float16,
        use_cpu=on_cpu,
        gradient_checkpointing=recompute,
        optim="adamw_8bit" if eight_bit else "adamw_torch_fused",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
    )


@functools.cache
def _tokenizer(model_folder: Path) -> Any:
    """TRL wants one, though it has nothing to read."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_folder)


def collate(table: Table, indices: list[int]) -> dict[str, Any]:
    """Rows side by side as a batch of one: four names, each int64 `[1, T]`.

    They are `input_ids`, `labels`, `position_ids` and `sources`.

    No attention mask: transformers then keeps the documents apart by their positions, while a mask of ones would let
    them see each other.
    """
    chosen = [index for index in indices if index != NO_ROW]
    return tensors(table.side_by_side(chosen) if chosen else EMPTY)


def tensors(rows: Rows) -> dict[str, Any]:
    """The arrays of rows as a batch of one."""
    import torch

    names = ("input_ids", "labels", "position_ids", "sources")
    batch = {name: torch.from_numpy(getattr(rows, name))[None] for name in names}
    if rows.soft is not None:
        batch |= {"soft_ids": torch.from_numpy(rows.soft.ids)[None].long()}
        batch |= {"soft_logprobs": torch.from_numpy(rows.soft.logprobs)[None]}
    return batch


def has_plain_head(config: Any) -> bool:
    """Whether logits are only the hidden state times a matrix (Gemma caps them, Granite scales them)."""
    names = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")
    return all(getattr(config.get_text_config(), name, None) in (None, 1, 1.0) for name in names)


def hidden_states(model: Any, wrapped: Any, inputs: dict[str, Any]) -> Any:
    """Last hidden states `[1, T, hidden]` of a PEFT model, without computing its output layer.

    Args:
        model: the model.
        wrapped: what is called: the model, or DDP or FSDP around it, which must see the forward pass.
        inputs: `input_ids` and `position_ids`, `[1, T]`.
    """
    with _without_head(model.get_base_model()):
        return wrapped(**inputs, use_cache=False).logits


@contextmanager
def _without_head(model: Any) -> Iterator[None]:
    import torch

    head = model.get_output_embeddings()
    model.set_output_embeddings(torch.nn.Identity())
    try:
        yield
    finally:
        model.set_output_embeddings(head)


def trained_whole(model: Any) -> list[Any]:
    """The weights of embedding and output layer of a PEFT model that are trained, each once."""
    return [one for name, one in model.named_parameters() if one.requires_grad and ".modules_to_save." in name]


def keep_precision(model: Any) -> None:
    """Keeps trained embeddings in 32 bits, as small updates would vanish in 16.

    What follows them computes in the base's own precision, as it does behind a frozen embedding.
    """
    import torch

    weights = trained_whole(model)
    for weight in weights:
        weight.data = weight.data.to(torch.float32)
    if weights:
        dtype = next(one.dtype for name, one in model.named_parameters() if name.endswith("norm.weight"))
        model.get_input_embeddings().register_forward_hook(lambda module, inputs, made: made.to(dtype))


def trainer_class() -> type[Any]:
    """SFTTrainer with our order, losses and checkpoints; made in a function as trl is imported late."""
    import torch
    from transformers import TrainerCallback
    from trl import SFTTrainer

    from tasks.training.losses import divergences, logit_divergences, soft_divergences, soft_losses, target_losses

    class Callback(TrainerCallback):  # type: ignore[misc]  # trl and transformers are untyped here
        def __init__(self, trainer: Any) -> None:
            self.trainer = trainer

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.trainer.journal.begin(self.trainer.row_loss)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
            if "grad_norm" in logs:
                self.trainer.close_step(float(logs["grad_norm"]))
                control.should_training_stop = control.should_training_stop or self.trainer.journal.is_given_up

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            due = self.trainer.checkpoints.due(state.global_step) or self.trainer.journal.look_due(state.global_step)
            control.should_save = due or state.global_step >= state.max_steps

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def prepare(self, params: TrainingParams, journal: Journal, checkpoints: Checkpoints, states: Any) -> None:
            self.params, self.journal, self.checkpoints, self.states = params, journal, checkpoints, states
            self.held = torch.tensor(
                [params.kl_rows is KlRows.ALL or name.startswith("replay-") for name in journal.sources]
            )
            if params.kl_weight and not self.held.any():
                raise InputError(
                    "training.kl_weight: the table has no replay rows; set dataset.replay, or training.kl_rows to all"
                )
            self.plain = has_plain_head(self.model.config)
            keep_precision(self.model)
            self.add_callback(Callback(self))

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)  # the order is in the rows already

        def _wrap_model(self, model: Any, training: bool = True, dataloader: Any = None) -> Any:
            if not self.params.shard_base:
                return super()._wrap_model(model, training, dataloader)
            from tasks.training.backends.sharding import Together

            return model if isinstance(model, Together) else Together(model)

        def _clip_grad_norm(self, model: Any) -> Any:
            if self.params.shard_base:
                from tasks.training.backends.sharding import average_gradients

                average_gradients(self.model)
            return super()._clip_grad_norm(model)

        def create_optimizer(self, model: Any = None) -> Any:
            """Embedding and output layer get a group of their own; nothing draws them to zero."""
            optimizer = super().create_optimizer(model)
            whole = {id(weight): weight for weight in trained_whole(self.model)}
            if whole:
                for group in optimizer.param_groups:
                    group["params"] = [one for one in group["params"] if id(one) not in whole]
                optimizer.add_param_group(
                    {"params": [*whole.values()], "lr": self.params.embedding_learning_rate, "weight_decay": 0.0}
                )
            return optimizer

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer,
                lambda step: self.params.schedule.factor(step, num_training_steps, self.params.warmup_fraction),
            )
            return self.lr_scheduler

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            sources, labels = inputs.pop("sources"), inputs.pop("labels")
            soft = [inputs.pop(name)[:, 1:] for name in ("soft_ids", "soft_logprobs") if name in inputs]
            aim = labels[:, 1:] != IGNORED
            made = self._made(model, inputs, aim)
            losses = self._losses(made, labels[:, 1:][aim], *(each[aim] for each in soft))
            apart = self._divergences(made, inputs, aim, sources[:, 1:]) if self.params.kl_weight else losses[:0]
            self._note(losses.detach(), apart.detach(), sources[:, 1:], aim, labels.shape[1] if len(losses) else 0)
            loss = (losses.sum() + self.params.kl_weight * apart.sum()) / num_items_in_batch
            return loss * self.accelerator.num_processes if self.args.average_tokens_across_devices else loss

        def _made(self, model: Any, inputs: Any, aim: Any) -> Any:
            """Where the targets are predicted: last hidden states `[N, H]`, or logits `[N, V]` of a model that does
            more than multiply them.
            """
            if self.plain:
                return self.states(self.model, model, inputs)[:, :-1][aim]
            return model(**inputs, use_cache=False).logits[:, :-1][aim].float()

        def _losses(self, made: Any, aims: Any, soft_ids: Any = None, logprobs: Any = None) -> Any:
            """Losses of the targets; TRL's own fused output layer needs triton, which a CPU has not."""
            if soft_ids is not None and (which := soft_ids[:, 0] >= 0).any():
                losses = made.new_zeros(len(made), dtype=torch.float32)
                hard, ids, logprobs = ~which, soft_ids[which], logprobs[which]
                weight = self.model.get_output_embeddings().weight
                soft = soft_losses(made[which], weight, ids, logprobs) if self.plain else None
                soft = soft_divergences(made[which], ids, logprobs) if soft is None else soft
                losses = losses.masked_scatter(which, soft)
                return losses.masked_scatter(hard, self._losses(made[hard], aims[hard])) if hard.any() else losses
            if self.plain:
                return target_losses(made, self.model.get_output_embeddings().weight, aims)
            return torch.nn.functional.cross_entropy(made, aims, reduction="none")

        def _divergences(self, made: Any, inputs: Any, aim: Any, sources: Any) -> Any:
            """How far the tokens in question are from the base, which is this model with its adapter switched off."""
            held = self.held[sources[aim].cpu()].to(made.device)
            if not held.any():
                return made.new_zeros(0, dtype=torch.float32)
            head, was_training = self.model.get_output_embeddings(), self.model.training
            weight = head.weight
            self.model.eval()
            with torch.no_grad(), self.model.disable_adapter():
                base, base_weight = self._made(self.model, inputs, aim)[held], head.weight
            self.model.train(was_training)
            if self.plain:
                return divergences(made[held], weight, base, base_weight)
            return logit_divergences(made[held], base)

        def _note(self, losses: Any, apart: Any, sources: Any, aim: Any, tokens: int) -> None:
            names = len(self.journal.sources)
            sums = torch.zeros(names, dtype=torch.float64).index_add_(0, sources[aim].cpu(), losses.double().cpu())
            counts = torch.bincount(sources[aim].cpu(), minlength=names)
            more = [float(tokens), float(apart.double().sum()), float(len(apart))]
            facts = torch.cat([sums, counts.double(), torch.tensor(more, dtype=torch.float64)])
            add_up(facts)
            *values, seen, divergence, held = facts.tolist()
            self.journal.add(values[:names], [int(count) for count in values[names:]], int(seen))
            self.journal.add_divergence(divergence, int(held))

        def close_step(self, grad_norm: float) -> None:
            done = len(self.journal.lines)
            share = self.params.schedule.factor(done, self.state.max_steps, self.params.warmup_fraction)
            peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
            self.journal.close_step(self.params.learning_rate * share, grad_norm, peak)
            if self.journal.look_due(done + 1):
                self.journal.look(self.row_loss)

        def row_loss(self, row: Rows) -> float:
            """Sum over a row's targets; the model is asked as in training, dropout switched off."""
            inputs = self._prepare_inputs(tensors(row))
            labels = inputs.pop("labels")
            inputs.pop("sources")
            was_training = self.model.training
            self.model.eval()
            with torch.no_grad(), self.compute_loss_context_manager():
                aim = labels[:, 1:] != IGNORED
                losses = self._losses(self._made(self.model, inputs, aim), labels[:, 1:][aim])
            self.model.train(was_training)
            return float(losses.double().sum())

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            if self.accelerator.is_main_process:
                path = self.checkpoints.save(
                    self.state.global_step, self.journal.seconds(), self._write, self.journal.kept_step
                )
                self.journal.report({"kind": "checkpoint", "path": str(path)})

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            """Transformers 5.17 would load them onto `cpu:0` in a group of processes on a CPU, which torch refuses."""
            if checkpoint is not None:
                for part, name in ((self.optimizer, "optimizer.pt"), (self.lr_scheduler, "scheduler.pt")):
                    part.load_state_dict(torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True))

        def _write(self, folder: Path) -> None:
            self.model.save_pretrained(folder)
            self._save_optimizer_and_scheduler(str(folder))
            self._save_rng_state(str(folder))
            self.state.save_to_json(str(folder / "trainer_state.json"))
            write_lines(folder / "loss.jsonl", self.journal.lines)

    return Trainer
