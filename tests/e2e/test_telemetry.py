"""What nodes tell of their devices, from the device to the person who asks: real processes, one of them with a scenario."""

import json
import re
import time

from shoal import ShoalTestCase, model, run, wait_until

TURN_S = 8  # when the scenario's phone gets into trouble: late enough that what it told before is seen first
WELL = {"cpu_own_permille": 480, "cpu_others_permille": 30, "memory_total_bytes": 8 << 30, "memory_available_bytes": 3 << 30,
        "resident_bytes": 1 << 30, "memory_some_permille": 3, "memory_full_permille": 0, "battery_percent": 84,
        "battery_state": "charging", "battery_current_ma": 512, "battery_power_mw": 2100, "battery_millicelsius": 31200,
        "cpu_millicelsius": 41000, "skin_millicelsius": 36500, "throttled": False, "cpu_limit_permille": 1000}
ILL = {"battery_percent": 19, "battery_state": "discharging", "battery_current_ma": -870, "battery_power_mw": -3400,
       "cpu_millicelsius": 68000, "throttled": True, "cpu_limit_permille": 620}


def of(status, name):
    """The node of this name."""
    return next((node for node in status["nodes"] if node["name"] == name), {"telemetry": None})


def told(status, name):
    return of(status, name)["telemetry"] or {}


class WithAPhoneAndAPlainNode(ShoalTestCase):
    def start_shoal(self):
        scenario = self.temporary_directory() / "phone.json"
        scenario.write_text(json.dumps([{"at_s": 0, **WELL}, {"at_s": TURN_S, **ILL, "skin_millicelsius": None}]))
        shoal = self.start(model(), nodes=0, nodes_min=2)
        shoal.add_node("--device-scenario", scenario, "--battery-min", 0, name="phone")  # it is to serve on
        shoal.add_node(name="plain")
        return shoal

    def test_status(self):
        """/shoal/v1/status has what each node told; the phone's as its scenario says, the plain one's as its system."""
        shoal = self.start_shoal()
        status = shoal.wait_status(lambda status: told(status, "phone").get("battery_percent") == 84, "a phone that is well")
        well = told(status, "phone")
        self.assertEqual({name: well[name] for name in WELL}, WELL)

        shoal.wait_serving(stages=2)
        shoal.complete("Once")

        def measured(status):
            """Both ends of the links have told of them, and the stages of their steps."""
            both = [told(status, name) for name in ("phone", "plain")]
            if not all(each.get("coordinator_rtt_us") and each["stages"] and each["stages"][0]["step_us"] for each in both):
                return False
            return any(neighbour["rtt_us"] for each in both for neighbour in each["neighbours"])

        status = shoal.wait_status(measured, "round trips and step times")
        stages = status["plan"]["stages"]
        for index, stage in enumerate(stages):
            telemetry = told(status, stage["node_name"])
            self.assertEqual([each["layers"] for each in telemetry["stages"]], [stage["layers"]])
            own = telemetry["stages"][0]
            self.assertGreater(own["steps_done"], 0)
            self.assertEqual(own["steps_queued"], 0)
            self.assertLessEqual(own["row_us"], own["step_us"])
            successors = [stages[1]["node"]] if index == 0 else []
            self.assertEqual([neighbour["node"] for neighbour in telemetry["neighbours"]], successors)
            self.assertLess(telemetry["age_s"], 3)

        status = shoal.wait_status(lambda status: told(status, "plain")["cpu_own_permille"] is not None, "CPU use")
        plain = told(status, "plain")
        with open("/proc/meminfo") as file:
            total_kib = int(re.search(r"MemTotal: +(\d+) kB", file.read()).group(1))
        self.assertEqual(plain["memory_total_bytes"], total_kib * 1024)
        self.assertTrue(0 < plain["memory_available_bytes"] < plain["memory_total_bytes"])
        self.assertTrue(1 << 20 < plain["resident_bytes"] < plain["memory_total_bytes"])
        self.assertTrue(0 <= plain["cpu_own_permille"] + plain["cpu_others_permille"] <= 1001)  # both are rounded

        status = shoal.wait_status(lambda status: told(status, "phone")["battery_percent"] == 19, "a phone that is ill")
        ill = told(status, "phone")
        self.assertEqual({name: ill[name] for name in WELL}, {**WELL, **ILL, "skin_millicelsius": None})

    def test_text(self):
        """`shoal status` shows the devices in a table of at most 100 columns, and what is not known as `-`."""
        shoal = self.start_shoal()
        shoal.wait_serving(stages=2)
        shoal.complete("Once")
        shoal.wait_status(lambda status: told(status, "phone").get("battery_percent") == 19 and
                          told(status, "phone")["stages"][0]["step_us"] and
                          told(status, "plain")["cpu_own_permille"] is not None, "a phone that is ill")
        done = run("status", "--state", shoal.state)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        header = next(line for line in lines if line.startswith("  device"))
        for title in ("battery", "hottest", "throttled", "CPU own", "others", "memory left", "pressure"):
            self.assertIn(title, header)
        table = lines[lines.index(header):]
        self.assertLessEqual(max(len(line) for line in table), 100, done.stdout)
        phone = next(line for line in table if line.startswith("  phone"))
        self.assertRegex(phone, r"19 % discharging, 3\.4 W +68 °C +to 62 % +48 % +3 % +3\.00 GiB +0\.3 %")
        plain = next(line for line in table if line.startswith("  plain"))
        self.assertRegex(plain, r"plain +\S.* \d+ % +\d+ % +[\d.]+ [KMG]iB")
        stages = [line for line in lines if re.match(r"  \d+-\d+ ", line)]
        self.assertEqual(len(stages), 2, done.stdout)
        for line in stages:
            self.assertRegex(line, r" \d+ +[\d.]+ ms")

    def test_twice_a_second(self):
        """A fresh report comes every 500 ms; the last one of a node that died stays, and grows old."""
        shoal = self.start(model(), nodes=1)
        ages = []

        def fresh():
            """How often the report became younger."""
            ages.append(told(shoal.status(), "node-1")["age_s"])
            return sum(later < earlier for earlier, later in zip(ages, ages[1:]))

        wait_until(lambda: fresh() >= 1, "a fresh report")
        began = time.monotonic()
        wait_until(lambda: fresh() >= 9, "eight more", seconds=8, pause=0.02)
        self.assertGreater(time.monotonic() - began, 3)  # 4 s, and what a busy machine delays
        shoal.nodes[0].kill()
        gone = shoal.wait_status(lambda status: of(status, "node-1")["state"] == "away", "the node's end")
        shoal.wait_status(lambda status: told(status, "node-1")["age_s"] > told(gone, "node-1")["age_s"], "an older report")
        self.assertNotIn("  device", run("status", "--state", shoal.state).stdout)


class Scenarios(ShoalTestCase):
    def test_wrong_file(self):
        """A scenario that is wrong ends the node before it joins, with one line that names the place."""
        directory = self.temporary_directory()
        path = directory / "wrong.json"
        path.write_text('[{"at_s": 0, "battery_percent": 84}, {"at_s": 1, "battery": 3}]')
        link = "shoal://127.0.0.1:1/join?c=" + "A" * 43 + "&s=" + "A" * 22
        done = run("join", link, "--state", directory / "state", "--device-scenario", path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Ashoal: .*wrong\.json is no device scenario: step 2: battery: .*\n\Z")
