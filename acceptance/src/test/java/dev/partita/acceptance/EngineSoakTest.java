package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/// Whether whole guests run right on the software engine, for long: Debian with systemd from its
/// kernel's entry to its power-off, again and again; and compilers, compressors and stress-ng on
/// several processors, whose results are known. Only by `./partita soak engine`.
@EnabledIfSystemProperty(named = "partita.soak.engine", matches = "[0-9]+")
class EngineSoakTest {
  private static final List<String> PACKAGES =
      List.of("stress-ng", "gcc", "libc6-dev", "make", "xz-utils", "zstd");

  private static final int LOGIN_SECONDS = 1200;
  private static final int STEP_SECONDS = 3600;
  private static final String PROMPT = "%>%";

  /// What in the kernel's messages is a sign of a fault of the processor or its timers.
  private static final String SUSPICIOUS =
      "bug:|oops|call trace|lockup|rcu.*stall|segfault|general protection|invalid opcode"
          + "|traps:|corrupt|bad page|hung task|clocksource.*unstable";

  /// A line of shell, and what its output must have in it.
  private record Step(String command, String expected) {}

  @TempDir Path folder;

  private static void say(String text) {
    System.err.println("partita soak: " + text);
  }

  /// The disk that all runs begin from; made once, and kept.
  private Path base() throws IOException, InterruptedException {
    var disk = PartitaProcess.launcher().resolveSibling(".partita").resolve("soak-engine.vhdx");
    if (!Files.exists(disk)) {
      say("making a Debian disk with " + PACKAGES);
      var command = new ArrayList<>(List.of("image", "build", "debian", "-o", disk.toString()));
      command.addAll(List.of("--size", "6G"));
      PACKAGES.forEach(name -> command.addAll(List.of("--package", name)));
      try (var build = PartitaProcess.start(folder, command.toArray(String[]::new))) {
        assertThat(build.exitCode(STEP_SECONDS)).as("%s", build).isZero();
      }
    }
    return disk;
  }

  /// Boots, logs in, runs steps, powers off.
  ///
  /// @return what went wrong, or nothing
  private String run(int processors, List<Step> steps) throws IOException, InterruptedException {
    var disk = folder.resolve("run.vhdx");
    Files.deleteIfExists(disk);
    var parent = base().toString();
    try (var create =
        PartitaProcess.start(folder, "disk", "create", "--parent", parent, disk.toString())) {
      assertThat(create.exitCode(60)).as("%s", create).isZero();
    }
    var tier = System.getProperty("partita.soak.tier", "mixed");
    try (var guest =
        PartitaProcess.start(
            folder,
            "run",
            "--disk",
            disk.toString(),
            "--tier",
            tier,
            "--memory",
            "1G",
            "--cpus",
            Integer.toString(processors),
            "--stats")) {
      try {
        converse(guest, processors, steps);
      } catch (AssertionError e) {
        return String.valueOf(e.getMessage());
      }
      return "";
    }
  }

  private static void converse(PartitaProcess guest, int processors, List<Step> steps)
      throws IOException, InterruptedException {
    guest.expect("login: ", LOGIN_SECONDS);
    guest.type("partita\n");
    guest.expect("$ ", LOGIN_SECONDS);
    guest.type("PS1=%'>'%; TERM=dumb; bind 'set enable-bracketed-paste off'\n");
    guest.expect(PROMPT, LOGIN_SECONDS);
    var all = new ArrayList<>(List.of(new Step("nproc", "\n" + processors + "\r")));
    all.add(new Step("systemctl is-system-running --wait", "\nrunning\r"));
    all.addAll(steps);
    all.add(new Step("sudo dmesg | grep -ciE '" + SUSPICIOUS + "'", "\n0\r"));
    for (var step : all) {
      int before = guest.out().length();
      guest.type(step.command + "\n");
      guest.expect(PROMPT, STEP_SECONDS);
      assertThat(guest.out().substring(before)).as("%s", guest).contains(step.expected);
    }
    guest.type("sudo poweroff\n");
    assertThat(guest.exitCode(LOGIN_SECONDS)).as("%s", guest).isZero();
  }

  @Test
  void debianBootsEveryTime() throws Exception {
    int boots = Integer.getInteger("partita.soak.boots", 20);
    var failures = new ArrayList<String>();
    for (int n = 1; n <= boots; n++) {
      for (int processors : new int[] {1, 2, 4}) {
        long start = System.nanoTime();
        var failure = run(processors, List.of());
        say(
            "boot %d of %d with %d processors: %s, %d s"
                .formatted(
                    n,
                    boots,
                    processors,
                    failure.isEmpty() ? "right" : "FAILED",
                    (System.nanoTime() - start) / 1_000_000_000L));
        keep(failures, failure);
      }
    }
    assertThat(failures).isEmpty();
  }

  @Test
  void programsGiveRightResultsUnderStress() throws Exception {
    long end = System.nanoTime() + Long.getLong("partita.soak.engine", 30) * 60_000_000_000L;
    var failures = new ArrayList<String>();
    int n = 0;
    do {
      int processors = n % 2 == 0 ? 2 : 4;
      var failure = run(processors, stress(processors));
      say(
          "stress %d with %d processors: %s"
              .formatted(++n, processors, failure.isEmpty() ? "right" : "FAILED"));
      keep(failures, failure);
    } while (System.nanoTime() < end);
    assertThat(failures).isEmpty();
  }

  private static void keep(List<String> failures, String failure) {
    if (!failure.isEmpty()) {
      say(failure);
      failures.add(failure);
    }
  }

  private static List<Step> stress(int processors) throws Exception {
    var steps = new ArrayList<Step>();
    var numbers =
        IntStream.rangeClosed(1, 300_000).mapToObj(i -> i + "\n").collect(Collectors.joining());
    var digest =
        HexFormat.of()
            .formatHex(
                MessageDigest.getInstance("SHA-256")
                    .digest(numbers.getBytes(StandardCharsets.US_ASCII)));
    for (var packer : List.of("gzip", "xz -T2 -2", "zstd -T2 -9")) {
      var name = packer.split(" ", 2)[0];
      var each = "seq 1 300000 | " + packer + " -c | " + name + " -dc | sha256sum";
      steps.add(new Step("for i in 1 2 3; do (" + each + ") & done; wait", "\n" + digest));
    }
    // The same program by the compiler's plainest and its cleverest code, many at once.
    steps.add(
        new Step(
            "mkdir -p w; for i in $(seq 12); do { echo '#include <stdio.h>';"
                + " for f in $(seq 60); do echo \"static unsigned long f$f(unsigned long x)"
                + " { for (int i = 0; i < 500; i++) x = x * $((f * 2 + 1)) + (x >> $f % 31) + i;"
                + " return x; }\"; done; echo 'int main() { unsigned long x = '$i';';"
                + " for f in $(seq 60); do echo \"x = f$f(x);\"; done;"
                + " echo 'printf(\"%lx\\n\", x); }'; } >w/p$i.c; done; echo made-'it'",
            "made-it"));
    steps.add(
        new Step(
            "printf '%s\\n' 'ALL = $(basename $(notdir $(wildcard w/*.c)))' '.RECIPEPREFIX = >'"
                + " 'all: $(ALL)' '$(ALL):' '> gcc -O0 -o w/$@.0 w/$@.c && gcc -O3"
                + " -march=x86-64-v3 -o w/$@.3 w/$@.c && test $$(w/$@.0) = $$(w/$@.3)' >w/Makefile",
            ""));
    steps.add(
        new Step(
            "make -s -f w/Makefile -j" + processors + " && echo compilers-'agree'",
            "compilers-agree"));
    var verified =
        "sudo stress-ng --verify --timeout 60s --cpu 1 --vm 1 --vm-bytes 96M --matrix 1 --qsort 1"
            + " --fork 1 --switch 1 --futex 2 --atomic 2 --mutex 2 --memcpy 1 --zlib 1 --crypt 1"
            + " --bsearch 1 --hash 1 --vecmath 1 --fault 1 --mmap 1 --mmap-bytes 32M";
    steps.add(
        new Step(
            verified + " >w/log 2>&1; r=$?; grep -v info: w/log; echo stress-ng $r",
            "\nstress-ng 0\r"));
    return steps;
  }
}
