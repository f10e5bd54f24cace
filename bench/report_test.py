"""Tests of the figures, tables and reports; no runner is started.

Run through Bazel, or in the tree: python3 -m bench.report_test
"""

import json
import math
import os
import re
import tempfile
import unittest

from bench import bars, contenders, figures, frame_vs_malloc, measure, micros, publish, tables

SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata", "sample.json")


def sample():
    with open(SAMPLE, encoding="utf-8") as file:
        return json.load(file)


def micro_run(row, number, times):
    return {"kind": "micro", "point": "", "row": row, "round": number, "samples": [],
            "benchmarks": [{"name": name, "operations": 10.0, "cpu_time": time * 10,
                            "real_time": time * 20, "items_per_second": 1e9 / time}
                           for name, time in times.items()]}


def frame_run(kind, row, p50, label="checksum=1", point="contacts/500", number=0):
    return {"kind": kind, "point": point, "row": row, "round": number, "samples": [p50],
            "benchmarks": [{"label": label, "iterations": 1, "p50": p50, "p99": p50 * 2,
                            "p99_9": p50 * 3, "worst": p50 * 4, "mean": p50, "allocations": 1,
                            "peak_rss": 1 << 20, "minor_faults": 0, "major_faults": 0}]}


class Numbers(unittest.TestCase):
    def test_median(self):
        self.assertEqual(figures.median([3, 1, 2]), 2)
        self.assertEqual(figures.median([4, 1, 3, 2]), 2.5)
        self.assertEqual(figures.median([7]), 7)
        with self.assertRaises(ValueError):
            figures.median([])

    def test_percentile_is_the_nearest_rank(self):
        values = list(range(1000, 0, -1))
        for share, expected in ((0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000), (0.001, 1)):
            self.assertEqual(figures.percentile(values, share), expected)
        self.assertEqual(figures.percentile([10, 20, 30], 0.5), 20)
        self.assertEqual(figures.percentile([10, 20, 30], 0.99), 30)
        for values, share in (([], 0.5), ([1], 0), ([1], 1.5)):
            with self.assertRaises(ValueError):
                figures.percentile(values, share)

    def test_quartiles_lie_between_values(self):
        self.assertEqual(figures.quartile([4, 1, 3, 2, 5], 0.25), 2)
        self.assertEqual(figures.quartile([1, 2], 0.75), 1.75)
        self.assertEqual(figures.quartile([7], 0.25), 7)

    def test_a_ratio_is_the_median_of_the_rounds(self):
        # A slow round, in which both took five times as long, changes nothing.
        ours, theirs = {0: 1, 1: 10, 2: 3, 4: 1}, {0: 2, 1: 20, 2: 4, 3: 9}
        ratio = figures.round_ratio(ours, theirs, "glibc")
        self.assertEqual((ratio.value, ratio.values), (0.5, [0.5, 0.5, 0.75]))
        self.assertEqual((ratio.low, ratio.high, ratio.name), (0.5, 0.625, "glibc"))
        for one, other in ((None, theirs), (ours, None), ({}, theirs), (ours, {0: 0}),
                           ({5: 1}, theirs)):
            self.assertIsNone(figures.round_ratio(one, other))

    def test_the_best_rival_is_the_one_with_the_largest_ratio(self):
        rows = {"glibc": {0: 10, 1: 10, 2: 10}, "mimalloc": {0: 2, 1: 9, 2: 6}, "pmr": {0: 1}}
        found = figures.hardest({0: 2, 1: 3, 2: 3}, rows, list(contenders.STOCK))
        self.assertEqual((found.name, found.value), ("mimalloc", 0.5))
        self.assertIsNone(figures.hardest({0: 1}, rows, ["tcmalloc"]))
        self.assertIsNone(figures.hardest(None, rows, ["glibc"]))

    def test_numbers_have_three_digits(self):
        for value, text in ((None, "-"), (0, "0"), (0.001, "0.0010"), (0.256, "0.26"),
                            (12.34, "12.3"), (1234.5, "1,234")):
            self.assertEqual(tables.number(value), text)


class Summary(unittest.TestCase):
    def test_medians_over_rounds(self):
        runs = [micro_run("glibc", i, {"pair/64": time}) for i, time in enumerate((5, 9, 6))]
        runs += [frame_run("trace", "glibc", p50, number=i) for i, p50 in enumerate((10, 30, 20))]
        summary = figures.summarize(figures.by_round(runs))
        self.assertEqual(summary["micro"]["pair/64"]["glibc"], 6)
        self.assertEqual(summary["trace"]["contacts/500"]["glibc"]["p50"], 20)
        self.assertEqual(summary["trace"]["contacts/500"]["glibc"]["worst"], 80)

    def test_threads_go_by_the_wall_clock(self):
        run = micro_run("glibc", 0, {"threads_pool/real_time/threads:2": 3})
        summary = figures.summarize(figures.by_round([run]))
        self.assertEqual(summary["micro"]["threads_pool/2"]["glibc"], 6)

    def test_unequal_checksums_are_found(self):
        runs = [frame_run("scenario", "glibc", 1), frame_run("scenario", "pmr", 1)]
        self.assertEqual(figures.checksum_faults(runs), [])
        runs.append(frame_run("scenario", "apr", 1, "checksum=2; data: generated"))
        faults = figures.checksum_faults(runs)
        self.assertEqual(len(faults), 1)
        self.assertIn("checksum=2 (apr)", faults[0])

    def test_data_notes_come_once(self):
        runs = [frame_run("scenario", row, 1, "checksum=1; data: generated") for row in "ab"]
        self.assertEqual(figures.data_notes(runs), ["data: generated"])


class Bars(unittest.TestCase):
    def verdicts(self, runs):
        found = bars.check_bars(figures.by_round(runs), {"contacts": "contacts/500"})
        return {bar.what: bar for bar in found}

    def test_met_and_missed(self):
        us = "framealloc mmap"
        runs = [micro_run(us, 0, {"frame/64": 0.39, "pair/64": 2.0}),
                micro_run("limit", 0, {"frame/64": 0.3}),
                micro_run("glibc", 0, {"pair/64": 5.0}), micro_run("tcmalloc", 0, {"pair/64": 3.0}),
                frame_run("trace", us, 25), frame_run("trace", "mimalloc", 100),
                frame_run("trace", "pmr", 1)]
        found = self.verdicts(runs)
        handle = found["frame allocation, 64 B, by handle / limit/bump"]
        self.assertTrue(math.isclose(handle.value, 1.3))
        pair = found["pool, 64 B, pair / best stock"]
        self.assertEqual((pair.verdict, round(pair.value, 3)), ("missed", 0.667))
        contacts = found["contacts: allocation time, p50 / best stock"]
        self.assertEqual((contacts.verdict, contacts.value), ("met", 0.25))
        self.assertEqual(found["batch of 1,000 / one allocation"].verdict, "not measured")

    def test_ratios_are_taken_within_a_round(self):
        us = "framealloc mmap"
        # Ours 10, 40, 12; theirs 50, 100, 24: the medians are 12 and 50, the ratios 0.2, 0.4, 0.5.
        runs = [frame_run("trace", us, p50, number=i) for i, p50 in enumerate((10, 40, 12))]
        runs += [frame_run("trace", "glibc", p50, number=i) for i, p50 in enumerate((50, 100, 24))]
        bar = self.verdicts(runs)["contacts: allocation time, p50 / best stock"].as_dict()
        self.assertEqual((bar["measured"], bar["verdict"], bar["rounds"]), (0.4, "missed", 3))
        self.assertTrue(math.isclose(bar["low"], 0.3) and math.isclose(bar["high"], 0.45))
        self.assertIn("0.01 µs / 0.05 µs (glibc)", bar["detail"])

    def test_inside_a_frame(self):
        us = "framealloc mmap"
        times = {"frame/64": 0.5, "mark_rewind": 1.4, "tag": 4.5, "phase": 4.0,
                 "vector_push/1000": 1.0, "map_find/64": 4.0, "map_insert/100000": 20.0}
        runs = [micro_run(us, 0, times),
                micro_run("mimalloc", 0, {"vector_push/1000": 1.0, "map_find/64": 10.0,
                                          "map_insert/100000": 50.0}),
                micro_run("tcmalloc", 0, {"map_insert/100000": 30.0})]
        found = self.verdicts(runs)
        for what, verdict in (("mark + rewind / one frame allocation", "met"),
                              ("enter + leave a tag / one frame allocation", "missed"),
                              ("phase without a clock / one frame allocation", "met"),
                              ("vector push / reserved std::vector, best stock", "met"),
                              ("map find, 64 entries / std::unordered_map, best stock", "met"),
                              ("map insert, 100,000 entries / std::unordered_map, best stock",
                               "missed"),
                              ("map find, 1,000 entries / std::unordered_map, best stock",
                               "not measured")):
            self.assertEqual(found[what].verdict, verdict, what)

    def test_objects_of_one_type_are_compared_with_an_array(self):
        times = {"typed_each/array": 0.7, "typed_each/pool": 0.84, "typed_each/components": 0.98}
        found = self.verdicts([micro_run("framealloc mmap", 0, times),
                               micro_run("glibc", 0, {"typed_each/array": 0.1})])
        for text, verdict in (("a typed pool", "met"), ("components", "missed")):
            what = f"through {text} of 100,000 live objects / an array of them"
            self.assertEqual(found[what].verdict, verdict)

    def test_the_pmr_resource_is_compared_with_the_monotonic_one(self):
        runs = [micro_run("framealloc mmap", 0, {"pmr_alloc/64": 1.2}),
                micro_run("pmr", 0, {"pmr_alloc/64": 2.0}),
                micro_run("glibc", 0, {"pmr_alloc/64": 0.1})]
        bar = self.verdicts(runs)["pmr resource, 64 B / monotonic_buffer_resource"]
        self.assertEqual((bar.verdict, bar.value), ("met", 0.6))

    def test_resolving_a_handle_is_compared_with_an_array(self):
        runs = [micro_run("framealloc mmap", 0, {"handle_chase/table": 6.0,
                                                 "handle_chase/array": 5.0}),
                micro_run("glibc", 0, {"handle_chase/array": 0.1})]
        bar = self.verdicts(runs)[
            "resolve a handle, 100,000 objects / pointer chase through an array"]
        self.assertEqual((bar.verdict, bar.value), ("met", 1.2))

    def test_two_threads_must_reach_the_bar(self):
        us = "framealloc mmap"
        runs = [micro_run(us, 0, {"threads_pool/real_time/threads:1": 2,
                                  "threads_pool/real_time/threads:2": 1.0,
                                  "threads_frame/real_time/threads:1": 2,
                                  "threads_frame/real_time/threads:2": 1.2})]
        found = self.verdicts(runs)
        self.assertEqual(found["two threads / one, pool allocations per second"].verdict, "met")
        self.assertEqual(found["two threads / one, frame allocations per second"].verdict, "missed")

    def test_more_objects_per_second_is_better(self):
        def run(row, time):
            return micro_run(row, 0, {"cross_free/64/real_time": time})
        runs = [run("framealloc mmap", 10), run("mimalloc", 20), run("tcmalloc", 11),
                run("glibc", 1)]
        bar = self.verdicts(runs)[
            "freed by another thread, 64 B, objects per second / better of mimalloc and tcmalloc"]
        self.assertEqual((bar.verdict, round(bar.value, 3)), ("missed", 1.1))
        self.assertIn("(tcmalloc)", bar.detail)

    def test_a_part_that_is_timed_by_itself_is_what_counts(self):
        names = {"begin_end": 1, "cross_free/64/real_time": 2, "end_all/4/manual_time": 3,
                 "end_all/16/iterations:2000/manual_time": 4}
        found = figures.by_round([micro_run("framealloc mmap", 0, names)])["micro"]
        self.assertEqual({name: rows["framealloc mmap"][0] for name, rows in found.items()},
                         {"begin_end": 1, "cross_free/64": 4, "end_all/4": 6, "end_all/16": 8})

    def test_nothing_measured_is_nothing_met(self):
        found = self.verdicts([])
        self.assertEqual({bar.verdict for bar in found.values()}, {"not measured"})
        self.assertGreater(len(found), 20)


class Micros(unittest.TestCase):
    def test_names(self):
        for name, group, label in (
                ("frame/64", "Frames", "frame alloc 64 B"),
                ("threads_pool/real_time/threads:2", "Threads", "pool, 2 thread(s)"),
                ("mark_rewind", "Inside a frame", "mark + rewind"),
                ("map_find/100000", "Collections", "map find 100,000"),
                ("soa_alloc/one_call", "Structures of arrays",
                 "8 arrays of 1,000 floats, one call"),
                ("new_thing/9", micros.OTHERS, "new thing 9")):
            self.assertEqual((micros.group(name), micros.label(name)), (group, label))

    def test_what_grows_stands_apart(self):
        for name, growth in (("frame_of/1000", True), ("crew_pool/4/real_time", True),
                             ("threads_pool/real_time/threads:2", False), ("frame/64", False)):
            self.assertEqual(micros.is_growth(name), growth, name)
            self.assertFalse(growth and micros.is_quick(name), name)
        names = {"frame_of/10", "frame/64", "frame/1", "crew_pool/8/real_time",
                 "threads_pool/real_time/threads:1"}
        self.assertEqual(sorted(len(batch) for batch in micros.batches(names, 9)), [1] * 5)

    def test_batches_hold_each_name_once(self):
        names = ["frame/64", "frame/1", "tag", "heap/65536", "map_find/64", "soa_alloc/one_call",
                 "threads_frame/real_time/threads:2", "cross_free/64/real_time", "pair/64"]
        found = list(micros.batches(set(names), 3))
        self.assertEqual(sorted(sum(found, [])), sorted(names))
        self.assertEqual(found[0], ["frame/64", "tag", "map_find/64"], "those with bars first")
        for batch in found:
            self.assertLessEqual(len(batch), 3)
            self.assertEqual(len({micros.is_threaded(name) for name in batch}), 1)

    def test_every_bar_is_in_the_quick_run(self):
        wanted = {}

        class Asked(dict):
            def get(self, key, default=None):
                wanted[key] = True
                return super().get(key, default)
        rounds = figures.by_round([])
        rounds["micro"], rounds["rate"] = Asked(), Asked()
        bars.check_bars(rounds, {})
        self.assertGreater(len(wanted), 10)
        for name in wanted:
            self.assertTrue(micros.is_quick(name), name)


class Rounds(unittest.TestCase):
    def test_each_round_has_another_order(self):
        group = measure.Group(list("ABC"))
        turns = ["".join(group.turn(number)) for number in range(6)]
        self.assertEqual(turns, ["ABC", "ACB", "CAB", "CBA", "BCA", "BAC"])

    def test_some_groups_run_in_some_rounds(self):
        group = measure.Group(list("AB"), every=3)
        turns = ["".join(group.turn(number)) for number in range(7)]
        self.assertEqual(turns, ["AB", "", "", "AB", "", "", "AB"])


class Reports(unittest.TestCase):
    def test_command_names_no_folder(self):
        for word, shown in (("/a/b.json", "b.json"), ("--json=/a/b.json", "--json=b.json"),
                            ("streaming/1600", "streaming/1600"), ("--full", "--full")):
            self.assertEqual(frame_vs_malloc.without_folder(word), shown)

    def test_terminal_tables_are_aligned(self):
        table = tables.Table("title", ["", "a", "b"])
        table.add(["row", "1.00", "22.0"], ours=True)
        table.grade(1, True)
        table.add(["a longer row", "100", "-"])
        lines = tables.terminal(table, False).splitlines()
        self.assertEqual({len(line) for line in lines[1:]}, {len("a longer row   100  22.0") + 0,
                                                             len("a longer row   100     -")})
        self.assertNotIn("\033", "".join(lines))
        coloured = tables.terminal(table, True)
        self.assertIn("\033[32m", coloured)
        self.assertEqual(re.sub("\033\\[[0-9]*m", "", coloured).splitlines(), lines)

    def test_sample_gives_the_same_figures_again(self):
        document = sample()
        again = dict(document)
        frame_vs_malloc.derive(again)
        self.assertEqual(again["summary"], document["summary"])
        self.assertEqual(again["bars"], document["bars"])
        self.assertEqual(figures.checksum_faults(document["runs"]), [])

    def test_publish(self):
        document = sample()
        with tempfile.TemporaryDirectory() as folder:
            readme = os.path.join(folder, "README.md")
            with open(readme, "w", encoding="utf-8") as file:
                file.write(f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n")
            results = os.path.join(folder, "results")
            publish.publish(document, results)
            raw = os.path.join(results, publish.RAW)
            self.assertEqual(publish.read_json(raw), document)
            with open(raw, "rb") as file:
                packed = file.read()
            with open(raw, "wb") as file:
                file.write(packed[:-20])
            with self.assertRaises(ValueError):
                publish.read_json(raw)
            with open(os.path.join(results, "README.md"), encoding="utf-8") as file:
                text = file.read()
            self.assertLess(text.index("## Caveats"), text.index("| ---"))
            for name in re.findall(r"\]\(([a-z_]+\.svg)\)", text):
                with open(os.path.join(results, name), encoding="utf-8") as file:
                    self.assertIn("<svg", file.read(1000))
            self.assertEqual(text.count(".svg"), 6)
            with open(readme, encoding="utf-8") as file:
                block = file.read()
            self.assertTrue(block.startswith("before\n") and block.endswith("\nafter\n"))
            self.assertNotIn("old", block)
            self.assertIn("framealloc mmap", block)
            publish.publish(document, results)
            with open(readme, encoding="utf-8") as file:
                self.assertEqual(file.read(), block)

    def test_a_readme_without_markers_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "README.md")
            self.assertFalse(publish.insert_block(path, "x"))
            with open(path, "w", encoding="utf-8") as file:
                file.write("text\n")
            self.assertFalse(publish.insert_block(path, "x"))


if __name__ == "__main__":
    unittest.main()
