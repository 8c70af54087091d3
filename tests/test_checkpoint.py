"""Checkpoints: what comes back, what is refused by name, and that no write is ever half done."""

import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from musicvae_core.data import files as files_module
from musicvae_core.errors import (
    CheckpointError,
)
from musicvae_core.latent.model_folder import Library
from musicvae_core.models.checkpoint import (
    _FORMAT,
    CONFIG_FILE,
    WEIGHTS_FILE,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from musicvae_core.models.config import TrainConfig
from musicvae_core.models.kinds import build
from musicvae_core.models.lab import GrooveLab
from musicvae_core.models.presets import PRESETS, preset
from musicvae_core.models.prior import LatentPrior, PriorConfig
from musicvae_core.studio import SHIPPED_CHECKPOINTS

Z = 8


def new_checkpoint(name="groove_2bar_tiny", *, with_prior=False):
    torch.manual_seed(0)
    made = Checkpoint.new(preset(name))
    if with_prior:
        made.prior = LatentPrior(PriorConfig(width=8, depth=2, n_solver_steps=3), Z)
        for tensor in made.prior.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape))
    return made


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(new_checkpoint(with_prior=True), tmp_path / "saved")
    return tmp_path / "saved"


@torch.inference_mode()
def outputs(checkpoint):
    """Return all that a checkpoint computes: mu and sigma, draws, and samples of the prior."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(3, Z, generator=generator)
    model = checkpoint.model
    drawn = model.decode(z, 1.0, generator)
    computed = [*model.encode(drawn), drawn, model.decode(z, 0.0)]
    return [*computed, checkpoint.prior.sample(z)] if checkpoint.prior else computed


def rewrite_header(folder, **changes):
    """Change entries of the header, the weights staying as they are."""
    path = folder / WEIGHTS_FILE
    about = json.loads((folder / CONFIG_FILE).read_text()) | changes
    save_file(load_file(path), path, {"about": json.dumps(about)})


@pytest.mark.parametrize("name", ["drums_2bar_tiny", "groove_2bar_tiny"])
@pytest.mark.parametrize("with_prior", [False, True])
def test_a_loaded_checkpoint_computes_what_the_saved_one_did(tmp_path, name, with_prior):
    before = new_checkpoint(name, with_prior=with_prior)
    save_checkpoint(before, tmp_path)
    after = load_checkpoint(tmp_path)
    assert after.config == before.config
    assert (after.prior is None) == (not with_prior)
    for mine, theirs in zip(outputs(after), outputs(before), strict=True):
        assert torch.equal(mine, theirs)
    assert not after.model.training


def test_half_the_size_is_half_the_precision(tmp_path):
    before = new_checkpoint(with_prior=True)
    save_checkpoint(before, tmp_path / "whole")
    save_checkpoint(before, tmp_path / "half", bits=16)
    sizes = [(tmp_path / kind / WEIGHTS_FILE).stat().st_size for kind in ("whole", "half")]
    after = load_checkpoint(tmp_path / "half")
    assert sizes[1] < 0.65 * sizes[0]
    state = before.model.state_dict() | before.prior.state_dict()
    for name, tensor in (after.model.state_dict() | after.prior.state_dict()).items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, state[name], rtol=1e-3, atol=1e-4)


def test_eight_bits_keep_every_weight_to_half_a_step_of_its_row(tmp_path):
    wide = preset("groove_2bar_tiny").model.replaced(encoder_size=128, decoder_size=128)
    before = Checkpoint("wide", "Wide", build(wide))
    save_checkpoint(before, tmp_path / "half", bits=16)
    save_checkpoint(before, tmp_path / "int8", bits=8)
    sizes = [(tmp_path / kind / WEIGHTS_FILE).stat().st_size for kind in ("half", "int8")]
    assert sizes[1] < 0.65 * sizes[0]
    state = before.model.state_dict()
    after = load_checkpoint(tmp_path / "int8").model.state_dict()
    assert after.keys() == state.keys()
    for name, tensor in after.items():
        assert tensor.dtype == torch.float32
        largest = state[name].abs().amax(dim=-1, keepdim=True)
        assert ((tensor - state[name]).abs() <= 0.51 * largest / 127 + 1e-3).all()


def test_all_about_it_comes_back(tmp_path):
    before = new_checkpoint()
    before.train, before.metrics = TrainConfig(beta=0.125, seed=9), {"step": 3, "curve": [1, 2]}
    save_checkpoint(before, tmp_path)
    after = load_checkpoint(tmp_path)
    assert (after.name, after.title) == (before.name, before.title)
    assert (after.train, after.metrics) == (before.train, before.metrics)


def test_the_weights_file_alone_is_enough(saved):
    (saved / CONFIG_FILE).unlink()
    after = load_checkpoint(saved)
    assert (after.train, after.metrics) == (TrainConfig(), {})
    for mine, theirs in zip(outputs(after), outputs(new_checkpoint(with_prior=True)), strict=True):
        assert torch.equal(mine, theirs)


def test_missing_files_are_not_found(tmp_path, saved):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "empty", saved / WEIGHTS_FILE):
        with pytest.raises(CheckpointError, match="no checkpoint at"):
            load_checkpoint(folder)


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.5, 0.99, 0.9999])
def test_a_truncated_file_is_corrupt(saved, share):
    path = saved / WEIGHTS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        load_checkpoint(saved)


@pytest.mark.parametrize("content", ["random", "zeros", "text", "pickle"])
def test_other_bytes_are_corrupt(saved, content):
    contents = {
        "random": bytes(torch.randint(256, (5000,), generator=torch.Generator().manual_seed(0))),
        "zeros": bytes(5000),
        "text": b"version https://git-lfs.github.com/spec/v1\nsize 5000\n",
        "pickle": pickle.dumps({"weights": list(range(1000))}),
    }
    (saved / WEIGHTS_FILE).write_bytes(contents[content])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        load_checkpoint(saved)


def test_a_pickle_is_never_opened(saved, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    for data in (pickle.dumps(Trap()), None):
        path = saved / WEIGHTS_FILE
        torch.save(Trap(), path) if data is None else path.write_bytes(data)
        with pytest.raises(CheckpointError):
            load_checkpoint(saved)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "header",
    [None, {"format": "pt"}, {"about": "{}"}, {"about": "[1]"}, {"about": '{"format": "other"}'}],
    ids=str,
)
def test_weights_of_another_program_are_foreign(saved, header):
    save_file({"weight": torch.zeros(3)}, saved / WEIGHTS_FILE, header)
    with pytest.raises(CheckpointError, match="not written by musicvae_core"):
        load_checkpoint(saved)


@pytest.mark.parametrize("field", ["format_version", "codec_version"])
def test_a_later_version_is_refused(saved, field):
    rewrite_header(saved, **{field: 99})
    with pytest.raises(CheckpointError, match="later version"):
        load_checkpoint(saved)


@pytest.mark.parametrize("field", ["format_version", "codec_version"])
@pytest.mark.parametrize("value", [None, "1"])
def test_a_header_that_does_not_say_its_version_is_corrupt(saved, field, value):
    rewrite_header(saved, **{field: value})
    with pytest.raises(CheckpointError, match=f"gives no {field}; fetch or train"):
        load_checkpoint(saved)


def test_a_header_of_the_format_alone_is_corrupt(saved):
    header = {"about": json.dumps({"format": _FORMAT})}
    save_file({"weight": torch.zeros(3)}, saved / WEIGHTS_FILE, header)
    with pytest.raises(CheckpointError, match="no format_version and no codec_version"):
        load_checkpoint(saved)


@pytest.mark.parametrize("field", ["name", "title", "model"])
def test_a_header_that_lacks_an_entry_is_corrupt(saved, field):
    path = saved / WEIGHTS_FILE
    about = json.loads((saved / CONFIG_FILE).read_text())
    del about[field]
    save_file(load_file(path), path, {"about": json.dumps(about)})
    with pytest.raises(CheckpointError, match=f"header promises: '{field}'"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"head": "groove", "decoder_size": 32}},
        {"model": {"head": "drums"}},
        {"model": {"z_sise": 3}},
        {"model": {"z_size": "8"}},
        {"model": 3},
        {"prior": {"width": 9}},
        {"prior": {"width": 0}},
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_the_weights_is_corrupt(saved, changes):
    rewrite_header(saved, **changes)
    with pytest.raises(CheckpointError, match="header promises"):
        load_checkpoint(saved)


def test_a_missing_tensor_is_corrupt(saved):
    path = saved / WEIGHTS_FILE
    tensors = load_file(path)
    del tensors["encoder.to_mu.bias"]
    about = (saved / CONFIG_FILE).read_text()
    save_file(tensors, path, {"about": about})
    with pytest.raises(CheckpointError, match="header promises"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"train": {"betas": 1}}', '{"train": {"beta": "much"}}']
)
def test_a_damaged_description_is_corrupt(saved, text):
    (saved / CONFIG_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json is damaged"):
        load_checkpoint(saved)


def test_a_save_replaces_the_whole_and_leaves_nothing_beside_it(saved):
    torch.manual_seed(7)
    other = Checkpoint.new(preset("drums_2bar_tiny"))
    save_checkpoint(other, saved)
    assert sorted(path.name for path in saved.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]
    after = load_checkpoint(saved)
    assert after.prior is None
    for mine, theirs in zip(outputs(after), outputs(other), strict=True):
        assert torch.equal(mine, theirs)


def test_a_failed_save_leaves_the_old_file_and_no_temporary_one(saved, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files_module.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(new_checkpoint("drums_2bar_tiny"), saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_a_checkpoint_of_another_network_is_refused_by_name(tmp_path):
    lab = Checkpoint.new(preset("groove_lab_tiny"))
    save_checkpoint(lab, tmp_path / "lab", bits=8)
    save_checkpoint(new_checkpoint(), tmp_path / "other")
    with pytest.raises(CheckpointError, match="a GrooveLab, and a MusicVAE is needed"):
        load_checkpoint(tmp_path / "lab")
    with pytest.raises(CheckpointError, match="a MusicVAE, and a GrooveLab is needed"):
        load_checkpoint(tmp_path / "other", GrooveLab)
    for folder in ("lab", "other"):
        loaded = load_checkpoint(tmp_path / folder, torch.nn.Module)
        assert loaded.config == load_checkpoint(tmp_path / folder, type(loaded.model)).config


def test_a_model_of_an_unknown_kind_is_foreign(saved):
    rewrite_header(saved, kind="organ")
    with pytest.raises(CheckpointError, match="'organ', which is not known here"):
        load_checkpoint(saved)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("_tiny")])
def test_every_kind_is_kept_and_loaded_the_same_way(tmp_path, name):
    torch.manual_seed(2)
    before = Checkpoint.new(preset(name))
    save_checkpoint(before, tmp_path)
    after = load_checkpoint(tmp_path, torch.nn.Module)
    assert (after.name, after.config, after.train) == (name, before.config, before.train)
    assert after.fingerprint() == before.fingerprint()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_corrupt(saved, number):
    tensors = load_file(saved / WEIGHTS_FILE)
    with safe_open(saved / WEIGHTS_FILE, framework="pt") as stored:
        header = stored.metadata()
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[0] = number
    save_file(tensors, saved / WEIGHTS_FILE, metadata=header)
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(saved)


def test_a_deeply_nested_description_is_corrupt_and_its_model_alone_is_left_out(saved):
    (saved / CONFIG_FILE).write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="nested too deeply"):
        load_checkpoint(saved)
    assert Library(saved.parent).models() == ()


def test_a_loop_of_links_is_no_model(saved):
    config = saved / CONFIG_FILE
    config.unlink()
    config.symlink_to(config)
    load_checkpoint(saved)
    assert Library(saved.parent).models() == ()


@pytest.mark.parametrize(
    "folder", sorted(SHIPPED_CHECKPOINTS.iterdir()), ids=lambda path: path.name
)
def test_the_readable_file_of_a_shipped_model_says_what_its_weights_say(folder):
    with safe_open(folder / WEIGHTS_FILE, framework="np") as stored:
        about = json.loads(stored.metadata()["about"])
    readable = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    assert {name: readable[name] for name in about} == about
