"""The page of benchmarks: every script's words and output in it, and one that fails named."""

import importlib.util

import pytest


@pytest.fixture(scope="module")
def page(root):
    spec = importlib.util.spec_from_file_location("benchmarks_page", root / "benchmarks" / "page.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, spec.name, module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module


def script(folder, name, words, code):
    (folder / f"{name}.py").write_text(f'"""{words}"""\nif __name__ == "__main__":\n    {code}\n', encoding="utf-8")


def test_a_script_that_fails_is_named_and_the_others_are_there(page, tmp_path, capsys):
    script(tmp_path, "fast", "Simulated speed.", "print('1.00 : 1')")
    script(tmp_path, "broken", "Simulated failure.", "print('begun', flush=True); raise ValueError('no such analysis')")
    (tmp_path / "shared.py").write_text("CONSTANT = 1\n", encoding="utf-8")
    assert page.write(tmp_path, tmp_path / "page.md") == ["broken failed with exit code 1"]
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "## fast\n\nSimulated speed.\n" in text
    assert "```text\n1.00 : 1\n```" in text
    assert "**The script failed with exit code 1; what it printed until then:**\n\n```text\nbegun\n```" in text
    assert "shared" not in text
    assert "no such analysis" not in text
    assert "no such analysis" in capsys.readouterr().out


def test_a_script_that_takes_too_long_is_stopped_with_what_it_started(page, tmp_path):
    child = "import subprocess; subprocess.run(['sleep', '60'])"
    script(tmp_path, "slow", "Simulated delay.", f"print('begun', flush=True); {child}")
    done = page.run(tmp_path / "slow.py", limit=2.0)
    assert (done.failure, done.printed) == ("was stopped after 2 s", "begun\n")
    assert done.seconds < 30


def test_every_benchmark_says_what_it_prints(page, root):
    found = page.scripts(root / "benchmarks")
    assert {"exact_batch", "peers", "reanalysis", "report", "sensitivity"} <= {file.stem for file in found}
    assert "page" not in {file.stem for file in found}
    for file in found:
        assert file.read_text(encoding="utf-8").startswith('"""'), file.name
    assert "memory" in page.machine()
