"""Figures as files: a picture, or HTML where nothing can draw one."""

import plotly.graph_objects as go

from musicvae_core.evaluation.experiments.reports import write_figure


def test_without_a_drawer_it_is_html(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise ValueError("install kaleido")

    monkeypatch.setattr(go.Figure, "to_image", fail)
    path = write_figure(go.Figure(go.Scatter(y=[1, 2])), tmp_path / "a.svg")
    assert path == tmp_path / "a.html"
    assert "scatter" in path.read_text()
    assert "install kaleido" in caplog.text


def test_with_one_it_is_the_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(go.Figure, "to_image", lambda _, **of: f"<{of['format']}/>".encode())
    assert write_figure(go.Figure(), tmp_path / "a.svg").read_text() == "<svg/>"


def test_repeated_texts_are_stated_once(tmp_path, monkeypatch):
    style = "font-size: 8px; fill: rgb(68, 68, 68);"
    texts = f'<text x="1" style="{style}">a</text><text class="own" style="{style}">b</text>'
    svg = f'<svg width="9">{texts}<text x="2" style="{style}">c</text></svg>'
    monkeypatch.setattr(go.Figure, "to_image", lambda _, **of: svg.encode())
    assert write_figure(go.Figure(), tmp_path / "a.svg").read_text() == (
        f'<svg width="9"><style>.text-0{{{style}}}</style><text x="1" class="text-0">a</text>'
        f'<text class="own" style="{style}">b</text><text x="2" class="text-0">c</text></svg>'
    )
