"""``fleet sources``: the manifests, with a bad one told and no other hidden by it."""

import json

from tests.command import Fleet

PARSE = "def parse(api):\n    yield {}\n"


def test_good_sources_are_listed_and_the_exit_code_is_0(fleet: Fleet) -> None:
    fleet.write_source("one", "api", PARSE)
    fleet.write_source("two", "api", PARSE)
    done = fleet.run("sources")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["one", "two"]


def test_a_bad_manifest_is_told_with_file_and_line_and_hides_no_other(fleet: Fleet) -> None:
    fleet.write_source("good", "api", PARSE)
    bad = fleet.write_source("bad", "api", PARSE) / "source.toml"
    lines = bad.read_text().splitlines()
    bad.write_text("\n".join([*lines, "raet = 2"]))
    done = fleet.run("sources")
    assert done.returncode == 2
    assert done.stdout.startswith("good ")
    assert f"{bad}:{len(lines) + 1}: unknown field 'raet'. Did you mean 'rate'?" in done.stderr


def test_in_json_each_source_is_its_manifest_or_its_error(fleet: Fleet) -> None:
    fleet.write_source("good", "api", PARSE)
    bad = fleet.write_source("bad", "api", PARSE) / "source.toml"
    bad.write_text(bad.read_text().replace('"api"', '"scrappy"'))
    done = fleet.run("sources", "--json")
    assert done.returncode == 2
    first, second = json.loads(done.stdout)
    assert (first["name"], first["error"]["file"], first["error"]["line"]) == ("bad", str(bad), 2)
    assert (second["name"], second["kind"], second["error"]) == ("good", "api", None)


def test_a_folder_of_sources_that_is_not_there_is_told_with_the_setting(fleet: Fleet) -> None:
    done = fleet.run("sources", FLEET_SOURCES_DIR=str(fleet.sources / "nowhere"))
    assert done.returncode == 2
    assert "FLEET_SOURCES_DIR" in done.stderr


def test_a_bad_description_of_pages_is_told_with_file_and_line(fleet: Fleet) -> None:
    fleet.write_source("good", "api", PARSE)
    folder = fleet.write_source("bad", "pages", '[pages.a]\nstrat = "http://site.invalid/"\n')
    done = fleet.run("sources")
    assert done.returncode == 2
    assert done.stdout.splitlines()[0].startswith("good ")
    assert f"{folder / 'pages.toml'}:2: pages.a.strat: unknown key 'strat'. Did you mean 'start'?" in done.stderr
