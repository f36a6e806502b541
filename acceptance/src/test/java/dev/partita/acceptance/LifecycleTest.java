package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// How a partition's process begins, is reached, and ends, with a guest of a few instructions.
@Timeout(120)
class LifecycleTest {
  private static final int SECONDS = 30;
  private static final String PREFIX = "\u0001";

  @TempDir Path temporary;
  private String kernel = "";

  @BeforeEach
  void writeKernel() throws Exception {
    kernel = Files.write(temporary.resolve("tiny"), TinyGuest.elf()).toString();
  }

  private PartitaProcess run(String... more) throws Exception {
    var arguments = new java.util.ArrayList<>(java.util.List.of("run", "--kernel", kernel));
    arguments.addAll(java.util.List.of(more));
    return PartitaProcess.start(temporary, arguments.toArray(String[]::new));
  }

  private PartitaProcess greeted(String... more) throws Exception {
    var partita = run(more);
    partita.expect(TinyGuest.GREETING + "\r\n", SECONDS);
    return partita;
  }

  @Test
  void thePipeIsTheConsoleByteForByte() throws Exception {
    try (var partita = run()) {
      partita.type("abc\n\u0001x\u0003\u00ff" + TinyGuest.POWER_OFF);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
      assertThat(partita.out()).isEqualTo(TinyGuest.GREETING + "\r\nabc\n\u0001x\u0003\u00ff");
      assertThat(partita.err()).isEmpty();
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void theEngineThatWasTakenIsToldWithTheReason() throws Exception {
    try (var partita = run()) {
      partita.type("" + TinyGuest.POWER_OFF);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
      assertThat(partita.wholeErr()).matches("partita: engine (kvm|software): .+\n");
    }
    try (var partita = run("--engine", "software")) {
      partita.type("" + TinyGuest.POWER_OFF);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
      assertThat(partita.wholeErr()).isEmpty();
    }
  }

  @Test
  void theEndOfInputDoesNotEndTheGuest() throws Exception {
    try (var partita = greeted("--timeout", "2s")) {
      partita.closeInput();
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(124);
      assertThat(partita.err()).isEqualTo("partita: stopped: the time is over\n");
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void aResetStartsTheMachineAgainAndKeepsWhatWasTyped() throws Exception {
    try (var partita = run()) {
      partita.type("one" + TinyGuest.RESET + "two" + TinyGuest.POWER_OFF);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
      assertThat(partita.out())
          .isEqualTo(TinyGuest.GREETING + "\r\none" + TinyGuest.GREETING + "\r\ntwo");
    }
  }

  @Test
  void aResetCanBeTheEnd() throws Exception {
    try (var partita = run("--no-reboot")) {
      partita.type("" + TinyGuest.RESET);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(5);
      assertThat(partita.err()).isEmpty();
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void aTripleFaultIsReportedWithRegistersAndCode() throws Exception {
    try (var partita = run()) {
      partita.type("" + TinyGuest.TRIPLE_FAULT);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(4);
      assertThat(partita.err())
          .startsWith("partita: the guest crashed: triple fault")
          .contains("virtual processor 0  RIP 0000000000100")
          .contains("code at RIP: 0f 0b");
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void statisticsTellWhatItCost() throws Exception {
    try (var partita = run("--stats")) {
      partita.type("abc" + TinyGuest.POWER_OFF);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
      assertThat(partita.err())
          .containsPattern("(?m)^  instructions [1-9][0-9]*$")
          .containsPattern("(?m)^  exits.port-write [1-9][0-9]*$")
          .containsPattern("(?m)^  resident.beyond-ram.kib [1-9][0-9]*$");
    }
  }

  @Test
  void signalsEndItInGoodOrder() throws Exception {
    int[] numbers = {1, 2, 15};
    for (int number : numbers) {
      try (var partita = greeted()) {
        new ProcessBuilder("kill", "-" + number, Long.toString(partita.process().pid()))
            .start()
            .waitFor();
        assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(128 + number);
      }
      PartitaProcess.assertNothingLeft(temporary);
    }
  }

  @Test
  void aReaderThatGoesAwayEndsIt() throws Exception {
    try (var partita = greeted()) {
      partita.process().getInputStream().close();
      partita.type("" + TinyGuest.FLOOD);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(141);
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void aStalledReaderDoesNotKeepItFromStopping() throws Exception {
    var command =
        "'%s' run --kernel '%s' --timeout 3s 2>/dev/null | { sleep 120; cat >/dev/null; }"
            .formatted(PartitaProcess.launcher(), kernel);
    var builder =
        new ProcessBuilder("bash", "-c", "printf F | " + command + " & wait $!; echo done");
    builder.environment().put("XDG_RUNTIME_DIR", temporary.toString());
    builder.environment().put("MARK", "x");
    var shell = builder.redirectErrorStream(true).start();
    try {
      shell.getOutputStream().close();
      long end = System.nanoTime() + 100_000_000_000L;
      boolean seen = false;
      boolean gone = false;
      while (System.nanoTime() < end && !gone) {
        long running =
            shell.descendants().filter(p -> p.info().command().orElse("").endsWith("java")).count();
        seen |= running > 0;
        gone = seen && running == 0;
        Thread.onSpinWait();
      }
      assertThat(gone).isTrue();
    } finally {
      shell.descendants().forEach(ProcessHandle::destroyForcibly);
      shell.destroyForcibly();
    }
  }

  @Test
  void itIsListedAndCanBeStopped() throws Exception {
    try (var partita = greeted("--name", "one", "--memory", "64M")) {
      try (var list = PartitaProcess.start(temporary, "list")) {
        assertThat(list.exitCode(SECONDS)).as("%s", list).isZero();
        assertThat(list.out().lines().toList().get(1))
            .matches("one +%d +1 +64M +\\S+ +0:00:[0-9]{2} +-".formatted(partita.process().pid()));
      }
      try (var second = run("--name", "one")) {
        assertThat(second.exitCode(SECONDS)).as("%s", second).isEqualTo(3);
        assertThat(second.err()).contains("\"one\" is running already");
      }
      try (var asked = PartitaProcess.start(temporary, "stop", "one")) {
        assertThat(asked.exitCode(SECONDS)).as("%s", asked).isEqualTo(7);
        assertThat(asked.err()).contains("no shutdown service running").contains("--force");
      }
      for (var command :
          List.of(
              List.of("restart"),
              List.of("guest", "values"),
              List.of("guest", "get", "OSName"),
              List.of("guest", "set", "a", "b"),
              List.of("guest", "freeze"),
              List.of("guest", "copy", "/etc/passwd", "/root/"),
              List.of("keys", "-p", "one", "ctrl-alt-del"),
              List.of("type", "x"))) {
        try (var asked = PartitaProcess.start(temporary, command.toArray(String[]::new))) {
          assertThat(asked.exitCode(SECONDS)).as("%s %s", command, asked).isEqualTo(7);
          assertThat(asked.err()).startsWith("partita: one: the guest").hasLineCount(1);
        }
      }
      try (var info = PartitaProcess.start(temporary, "guest", "info", "one")) {
        assertThat(info.exitCode(SECONDS)).as("%s", info).isZero();
        assertThat(info.out()).startsWith("heartbeat          no-contact\n");
      }
      try (var keys = PartitaProcess.start(temporary, "keys", "ctrl-alt-none")) {
        assertThat(keys.exitCode(SECONDS)).as("%s", keys).isEqualTo(3);
        assertThat(keys.err()).contains("no key \"none\"");
      }
      try (var stop = PartitaProcess.start(temporary, "stop", "--force", "one")) {
        assertThat(stop.exitCode(SECONDS)).as("%s", stop).isZero();
      }
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(6);
      assertThat(partita.err()).isEqualTo("partita: stopped\n");
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void whatAKilledPartitionLeavesIsSwept() throws Exception {
    try (var partita = greeted("--name", "one")) {
      partita.process().destroyForcibly();
      assertThat(partita.exitCode(SECONDS)).isEqualTo(137);
    }
    try (var again = greeted("--name", "one")) {
      again.type("" + TinyGuest.POWER_OFF);
      assertThat(again.exitCode(SECONDS)).as("%s", again).isZero();
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void twoProcessorsStart() throws Exception {
    try (var partita = run("--cpus", "2", "--stats")) {
      partita.type("" + TinyGuest.POWER_OFF);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
    }
  }

  @Test
  void aTerminalIsRawAndHasKeys() throws Exception {
    try (var partita =
        PartitaProcess.startOnTerminal(temporary, "run", "--kernel", kernel, "--name", "one")) {
      partita.expect(TinyGuest.GREETING + "\r\n", SECONDS);
      partita.type("a\u0003b\r\u0004c");
      partita.expect("a\u0003b\r\u0004c", SECONDS);
      partita.type(PREFIX + "h");
      partita.expect("Ctrl-A x stops the partition", SECONDS);
      partita.type(PREFIX + "a");
      partita.expect(PREFIX, SECONDS);
      partita.type(PREFIX + "x");
      partita.expect("partita: stopped", SECONDS);
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(6);
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void aPartitionIsDetachedAndAttachedAgain() throws Exception {
    try (var first =
        PartitaProcess.startOnTerminal(temporary, "run", "--kernel", kernel, "--name", "one")) {
      first.expect(TinyGuest.GREETING + "\r\n", SECONDS);
      first.type(PREFIX + "d");
      first.expect("detached; partita attach one takes it again", SECONDS);
      assertThat(first.exitCode(SECONDS)).as("%s", first).isZero();
    }
    try (var second = PartitaProcess.startOnTerminal(temporary, "attach", "one")) {
      second.type("hello");
      second.expect("hello", SECONDS);
      second.type(PREFIX + "d");
      second.expect("detached", SECONDS);
      assertThat(second.exitCode(SECONDS)).as("%s", second).isZero();
    }
    try (var third = PartitaProcess.startOnTerminal(temporary, "attach")) {
      third.type("" + TinyGuest.TRIPLE_FAULT);
      third.expect("partita: the guest crashed: triple fault", SECONDS);
      assertThat(third.exitCode(SECONDS)).as("%s", third).isEqualTo(4);
    }
    // The process of the partition ends by itself, and cleans up.
    for (int i = 0; i < 5000 && Files.exists(temporary.resolve("partita/one.entry")); i++) {
      try (var list = PartitaProcess.start(temporary, "list")) {
        list.exitCode(SECONDS);
      }
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  @Test
  void theLauncherWorksThroughALinkFromAnywhere() throws Exception {
    var link = temporary.resolve("link");
    Files.createSymbolicLink(link, PartitaProcess.launcher());
    var version =
        new ProcessBuilder(link.toString(), "--version")
            .directory(temporary.toFile())
            .redirectErrorStream(true)
            .start();
    assertThat(new String(version.getInputStream().readAllBytes())).startsWith("partita 0.");
    assertThat(version.waitFor()).isZero();
  }

  @Test
  void completionIsAScriptThatBashTakes() throws Exception {
    try (var completion = PartitaProcess.start(temporary, "completion", "bash")) {
      assertThat(completion.exitCode(SECONDS)).isZero();
      var script = Files.writeString(temporary.resolve("completion"), completion.out());
      var bash = new ProcessBuilder("bash", "-n", script.toString()).start();
      assertThat(bash.waitFor()).isZero();
      assertThat(completion.out()).contains("--kernel");
    }
  }
}
