package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The distribution's own kernel, unmodified, run as a person runs it.
@Timeout(600)
class DebianTest {
  /// A boot takes some seconds on an idle machine; a loaded one gets time.
  private static final int BOOT_SECONDS = 240;

  private static final int SECONDS = 60;
  private static final String PROMPT = "# ";

  @TempDir Path runtime;

  private PartitaProcess booted(String... more) throws Exception {
    var arguments = new java.util.ArrayList<>(java.util.List.of("run", "debian-initramfs"));
    arguments.addAll(java.util.List.of(more));
    var partita = PartitaProcess.start(runtime, arguments.toArray(String[]::new));
    try {
      partita.expect("Linux version 6.", BOOT_SECONDS);
      partita.expect("nothing here lasts", BOOT_SECONDS);
      partita.expect(PROMPT, SECONDS);
      return partita;
    } catch (Throwable e) {
      partita.close();
      throw e;
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void itBootsToAShellAndPowersOff(int processors) throws Exception {
    try (var partita = booted("--cpus", Integer.toString(processors), "--stats")) {
      assertThat(partita.out()).contains("Hypervisor detected: Microsoft Hyper-V");
      partita.type("nproc\n");
      partita.expect("\n" + processors + "\r\n", SECONDS);
      partita.type("grep -c ttyS0 /proc/cmdline; sha256sum /bin/busybox | cut -c 65-\n");
      partita.expect("\n1\r\n", SECONDS);
      partita.expect("/bin/busybox\r\n", SECONDS);
      partita.type("dmesg | grep -ciE 'BUG:|oops|call trace|soft lockup|unstable'\n");
      partita.expect("\n0\r\n", SECONDS);
      partita.type("poweroff\n");
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
      assertThat(partita.err()).contains("instructions ");
    }
    PartitaProcess.assertNothingLeft(runtime);
  }

  @Test
  void itRebootsInTheSameProcess() throws Exception {
    try (var partita = booted()) {
      partita.type("reboot\n");
      partita.expect("Linux version 6.", BOOT_SECONDS);
      partita.expect("nothing here lasts", BOOT_SECONDS);
      partita.expect(PROMPT, SECONDS);
      partita.type("poweroff\n");
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
    }
  }

  /// For as long as it takes until the software engine's optimizing compiler has all of it.
  @Test
  void whatIsPackedComesBackAsItWas() throws Exception {
    var digest = MessageDigest.getInstance("SHA-256");
    for (int i = 1; i <= 300_000; i++) {
      digest.update((i + "\n").getBytes(StandardCharsets.US_ASCII));
    }
    try (var partita = booted()) {
      partita.type("for i in 1 2 3 4 5 6; do seq 1 300000 | gzip | gunzip | sha256sum; done >r\n");
      partita.expect(PROMPT, BOOT_SECONDS);
      partita.type("sort r | uniq -c\n");
      partita.expect(" 6 " + HexFormat.of().formatHex(digest.digest()), SECONDS);
      partita.type("poweroff\n");
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
    }
  }

  @Test
  void aRebootCanBeTheEnd() throws Exception {
    try (var partita = booted("--no-reboot")) {
      partita.type("reboot\n");
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(5);
    }
    PartitaProcess.assertNothingLeft(runtime);
  }

  @Test
  void aPanicIsReportedInTheGuestsWords() throws Exception {
    try (var partita = booted()) {
      partita.type("echo c > /proc/sysrq-trigger\n");
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(4);
      assertThat(partita.err())
          .startsWith(
              "partita: the guest crashed: Kernel panic - not syncing: sysrq triggered crash")
          .contains("guest OS id 81");
    }
    PartitaProcess.assertNothingLeft(runtime);
  }

  @Test
  void killingTheProcessLeavesNothingThatHinders() throws Exception {
    try (var partita = booted("--name", "victim")) {
      partita.process().destroyForcibly();
      assertThat(partita.exitCode(SECONDS)).isEqualTo(137);
    }
    try (var list = PartitaProcess.start(runtime, "list")) {
      assertThat(list.exitCode(SECONDS)).isZero();
      assertThat(list.out().lines()).hasSize(1);
    }
    PartitaProcess.assertNothingLeft(runtime);
  }
}
