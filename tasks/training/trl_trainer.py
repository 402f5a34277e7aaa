"""SFTTrainer with what rawtune adds to it: rows in its own order, losses per source from hidden states, checkpoints
that are whole or absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.training.checkpoints import Checkpoints
from tasks.training.journal import Journal, write_lines
from tasks.training.params import TrainingParams
from tasks.training.ranks import add_up
from tasks.training.schedule import factor
from tasks.training.table import IGNORED, Rows


def tensors(rows: Rows) -> dict[str, Any]:
    """The arrays of rows as a batch of one."""
    import torch

    return {
        name: torch.from_numpy(getattr(rows, name))[None] for name in ("input_ids", "labels", "position_ids", "sources")
    }


def has_plain_head(config: Any) -> bool:
    """Whether logits are the hidden state times a matrix and nothing more (Gemma caps them, Granite scales them)."""
    names = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")
    return all(getattr(config.get_text_config(), name, None) in (None, 1, 1.0) for name in names)


def hidden_states(model: Any, wrapped: Any, inputs: dict[str, Any]) -> Any:
    """Last hidden states `[1, T, hidden]` of a PEFT model: its output layer is left out of the forward pass.

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


def trainer_class() -> type[Any]:
    """SFTTrainer with our own order, losses and checkpoints; made in a function because trl is imported late."""
    import torch
    from transformers import TrainerCallback
    from trl import SFTTrainer

    from tasks.training.losses import target_losses

    class Callback(TrainerCallback):  # type: ignore[misc]  # trl and transformers are untyped here
        def __init__(self, trainer: Any) -> None:
            self.trainer = trainer

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
            if "grad_norm" in logs:
                self.trainer.close_step(float(logs["grad_norm"]))

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.trainer.due = self.trainer.checkpoints.due(state.global_step)
            control.should_save = self.trainer.due or state.global_step >= state.max_steps

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def prepare(self, params: TrainingParams, journal: Journal, checkpoints: Checkpoints, states: Any) -> None:
            self.params, self.journal, self.checkpoints, self.states = params, journal, checkpoints, states
            self.add_callback(Callback(self))

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)  # the order is in the rows already

        def _wrap_model(self, model: Any, training: bool = True, dataloader: Any = None) -> Any:
            if not self.params.shard_base:
                return super()._wrap_model(model, training, dataloader)
            from tasks.training.sharding import Together

            return model if isinstance(model, Together) else Together(model)

        def _clip_grad_norm(self, model: Any) -> Any:
            if self.params.shard_base:
                from tasks.training.sharding import average_gradients

                average_gradients(self.model)
            return super()._clip_grad_norm(model)

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer,
                lambda step: factor(step, num_training_steps, self.params.warmup_fraction, self.params.schedule),
            )
            return self.lr_scheduler

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            sources, labels = inputs.pop("sources"), inputs.pop("labels")
            aim = labels[:, 1:] != IGNORED
            losses = self._losses(model, inputs, labels, aim)
            self._note(losses.detach(), sources[:, 1:], aim, labels.shape[1] if len(losses) else 0)
            loss = losses.sum() / num_items_in_batch
            return loss * self.accelerator.num_processes if self.args.average_tokens_across_devices else loss

        def _losses(self, model: Any, inputs: Any, labels: Any, aim: Any) -> Any:
            """Losses of the targets; TRL's own fused output layer needs triton, which a CPU has not."""
            if not self.model.get_output_embeddings().weight.requires_grad and has_plain_head(self.model.config):
                hidden = self.states(self.model, model, inputs)
                return target_losses(hidden[:, :-1][aim], self.model.get_output_embeddings().weight, labels[:, 1:][aim])
            logits = model(**inputs, use_cache=False).logits[:, :-1][aim].float()
            return torch.nn.functional.cross_entropy(logits, labels[:, 1:][aim], reduction="none")

        def _note(self, losses: Any, sources: Any, aim: Any, tokens: int) -> None:
            names = len(self.journal.sources)
            sums = torch.zeros(names, dtype=torch.float64).index_add_(0, sources[aim].cpu(), losses.double().cpu())
            counts = torch.bincount(sources[aim].cpu(), minlength=names)
            facts = torch.cat([sums, counts.double(), torch.tensor([float(tokens)], dtype=torch.float64)])
            add_up(facts)
            values = facts.tolist()
            self.journal.add(values[:names], [int(count) for count in values[names:-1]], int(values[-1]))

        def close_step(self, grad_norm: float) -> None:
            done = len(self.journal.lines)
            rate = self.params.learning_rate * factor(
                done, self.state.max_steps, self.params.warmup_fraction, self.params.schedule
            )
            peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
            self.journal.close_step(rate, grad_norm, peak)
            if self.journal.look_due(done + 1):
                self.journal.look(self._held_out_loss)

        def _held_out_loss(self, row: Rows) -> float:
            """Sum over a row's targets; the model is asked as in training, dropout switched off."""
            inputs = self._prepare_inputs(tensors(row))
            labels = inputs.pop("labels")
            inputs.pop("sources")
            was_training = self.model.training
            self.model.eval()
            with torch.no_grad(), self.compute_loss_context_manager():
                losses = self._losses(self.model, inputs, labels, labels[:, 1:] != IGNORED)
            self.model.train(was_training)
            return float(losses.double().sum())

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            if self.accelerator.is_main_process:
                path = self.checkpoints.save(self.state.global_step, self.journal.seconds(), self._write)
                self.journal.report({"kind": "checkpoint", "path": str(path)})

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            """Transformers 5.17 would load them onto `cpu:0` in a group of processes on a CPU, which torch refuses."""
            if checkpoint is not None:
                for part, name in ((self.optimizer, "optimizer.pt"), (self.lr_scheduler, "scheduler.pt")):
                    part.load_state_dict(torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True))

        def _write(self, folder: Path) -> None:
            self.save_model(str(folder), _internal_call=True)
            self._save_optimizer_and_scheduler(str(folder))
            self._save_rng_state(str(folder))
            self.state.save_to_json(str(folder / "trainer_state.json"))
            write_lines(folder / "loss.jsonl", self.journal.lines)

    return Trainer
