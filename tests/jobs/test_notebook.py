"""`drnn_bench.run` in a real kernel: what a notebook shows below its cells."""

from __future__ import annotations

import pytest

from tests.support.command import ENV, UNTIMED

SMALL = "families=['dilated_cnn'], budgets=[500], trials=3, steps=6, seeds=2, workers=1"
CELLS = (
    f"import drnn_bench\nboard = drnn_bench.run({SMALL})",
    "drnn_bench.styled(board)",
    f"silent = drnn_bench.run({SMALL}, progress=False)",
)


@pytest.mark.slow
def test_a_run_has_one_output_that_is_renewed_and_its_board_is_a_table(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    client = nbclient.NotebookClient(
        nbformat.v4.new_notebook(cells=cells),
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    run, styled, silent = client.execute(env=ENV | UNTIMED).cells
    streams = [x for x in run.outputs if x.output_type == "stream"]
    assert all("TqdmWarning" in x.text for x in streams)  # of another library
    [output] = [x for x in run.outputs if x not in streams]
    assert output.output_type == "display_data"
    text = output.data["text/plain"]
    assert "\x1b" not in text
    assert "dilated_cnn" in text
    assert "3/3" in text
    assert "finals: 2 trainings on fresh seeds" in text
    assert len(text.splitlines()) < 20
    [output] = styled.outputs
    assert (
        "<caption>pixel_digits, at most 500 parameters, 6 steps</caption>"
        in (output.data["text/html"])
    )
    assert silent.outputs == []
