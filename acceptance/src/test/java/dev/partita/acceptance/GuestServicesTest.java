package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Integration services and keyboard, with the drivers of the distribution's kernel and its
/// daemons, both unmodified.
@Timeout(900)
class GuestServicesTest {
  private static final int BOOT_SECONDS = 240;
  private static final int SECONDS = 60;
  private static final int TRIES = 60;
  private static final String PROMPT = "# ";

  @TempDir Path runtime;

  /// Runs a command and asserts its exit code.
  ///
  /// @return standard output, or standard error if it is not to succeed
  private String partita(int exitCode, String... arguments) throws Exception {
    try (var command = PartitaProcess.start(runtime, arguments)) {
      assertThat(command.exitCode(SECONDS))
          .as("%s %s", List.of(arguments), command)
          .isEqualTo(exitCode);
      return exitCode == 0 ? command.out() : command.err();
    }
  }

  private PartitaProcess booted(String... more) throws Exception {
    var arguments = new ArrayList<>(List.of("run", "debian-initramfs", "--name", "vm"));
    arguments.addAll(List.of(more));
    var partita = PartitaProcess.start(runtime, arguments.toArray(String[]::new));
    try {
      partita.expect("nothing here lasts", BOOT_SECONDS);
      partita.expect(PROMPT, SECONDS);
      awaitServices();
      return partita;
    } catch (Throwable e) {
      partita.close();
      throw e;
    }
  }

  /// The guest's daemons start beside its shell.
  private void awaitServices() throws Exception {
    var info = "";
    for (int i = 0; i < TRIES; i++) {
      info = partita(0, "guest", "info", "--raw");
      if (info.contains("OSBuildNumber=") && info.contains("backup=thawed\n")) {
        return;
      }
      Thread.sleep(1000);
    }
    throw new AssertionError(info);
  }

  @Test
  void factsAndValuesGoBothWays() throws Exception {
    try (var vm = booted()) {
      var info = partita(0, "guest", "info", "--raw");
      assertThat(info)
          .contains("heartbeat=ok\n", "shutdown=yes\n", "copy=yes\n", "keyboard=yes\n")
          .contains("FullyQualifiedDomainName=partita\n", "ProcessorArchitecture=x86_64\n");
      var kernel = info.lines().filter(l -> l.startsWith("OSBuildNumber=")).findFirst().orElse("");
      vm.type("uname -r | sed s/^/kernel-/\n");
      vm.expect("\nkernel-" + kernel.substring(kernel.indexOf('=') + 1) + "\r\n", SECONDS);

      partita(0, "guest", "set", "greeting", "hello world");
      assertThat(partita(0, "guest", "get", "greeting")).isEqualTo("hello world\n");
      assertThat(partita(0, "guest", "values", "--pool", "external"))
          .isEqualTo("external greeting=hello world\n");
      vm.type("tr -d '\\0' </var/lib/hyperv/.kvp_pool_0; echo; echo end-of-pool\n");
      vm.expect("greetinghello w", SECONDS);
      partita(0, "guest", "delete", "greeting");
      assertThat(partita(7, "guest", "get", "greeting"))
          .isEqualTo("partita: vm: there is no such value\n");
      partita(7, "guest", "delete", "greeting");

      vm.type(
          "{ printf fromguest; head -c 503 /dev/zero; printf hi; head -c 2046 /dev/zero; }"
              + " >/var/lib/hyperv/.kvp_pool_1; echo pool-\"written\"\n");
      vm.expect("pool-written", SECONDS);
      assertThat(partita(0, "guest", "get", "fromguest")).isEqualTo("hi\n");

      vm.type("tr -d '\\0' </var/lib/hyperv/.kvp_pool_3; echo\n");
      vm.expect("VirtualMachineNamevm", SECONDS);
      partita(0, "stop", "vm");
      assertThat(vm.exitCode(SECONDS)).as("%s", vm).isZero();
    }
    PartitaProcess.assertNothingLeft(runtime);
  }

  @Test
  void filesAreCopiedWhole() throws Exception {
    var bytes = new byte[100_001];
    new Random(1).nextBytes(bytes);
    var file = Files.write(runtime.resolve("file"), bytes);
    var digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    try (var vm = booted()) {
      partita(0, "guest", "copy", file.toString(), "vm:/root/");
      vm.type("sha256sum /root/file\n");
      vm.expect(digest + "  /root/file", SECONDS);
      assertThat(partita(7, "guest", "copy", file.toString(), "/root/file"))
          .contains("exists already")
          .contains("--overwrite");
      Files.writeString(file, "short");
      partita(0, "guest", "copy", "--overwrite", file.toString(), "/root/file");
      assertThat(partita(7, "guest", "copy", file.toString(), "/none/there"))
          .contains("--create-folders");
      partita(0, "guest", "copy", "--create-folders", file.toString(), "/none/there");
      Files.writeString(file, "");
      partita(0, "guest", "copy", file.toString(), "/root/empty");
      vm.type("cat /root/file /none/there; wc -c </root/empty\n");
      vm.expect("\nshortshort0\r\n", SECONDS);
      assertThat(partita(3, "guest", "copy", "/no/such/file", "/root/x"))
          .isEqualTo("partita: /no/such/file: no such file\n");
    }
  }

  @Test
  void fileSystemsComeToRest() throws Exception {
    var disk = runtime.resolve("disk.img");
    try (var image = new RandomAccessFile(disk.toFile(), "rw")) {
      image.setLength(32 << 20);
    }
    try (var vm = booted("--disk", disk.toString())) {
      vm.type("modprobe ext4; mke2fs /dev/sda >/dev/null && mount /dev/sda /mnt && df /mnt\n");
      vm.expect(" /mnt\r\n", SECONDS);
      partita(0, "guest", "freeze");
      assertThat(partita(0, "guest", "info")).contains("file systems       frozen\n");
      assertThat(partita(7, "guest", "freeze")).contains("frozen already");
      vm.type("(date >/mnt/file; echo is-\"written\") & sleep 2; echo has-\"waited\"\n");
      vm.expect("has-waited", SECONDS);
      assertThat(vm.out()).doesNotContain("is-written");
      partita(0, "guest", "thaw");
      vm.expect("is-written", SECONDS);

      vm.type("while sleep 1; do date >/mnt/file; echo again-\"written\"; done &\n");
      vm.expect("again-written", SECONDS);
      partita(9, "guest", "freeze", "--while", "exit 9");
      vm.expect("again-written", SECONDS);
      assertThat(partita(3, "guest", "freeze", "--for", "1s", "--while", "sleep 4"))
          .contains("may not be whole");
      vm.expect("again-written", SECONDS);
    }
  }

  @Test
  void keysAreTypedTheClockIsSetAndTheGuestRestarts() throws Exception {
    try (var vm = booted()) {
      partita(0, "keys", "alt-sysrq-h");
      vm.expect("sysrq: HELP", SECONDS);
      // struct input_event: 16 bytes of time, type, code, value; after the scan code the key
      // itself.
      vm.type(
          "modprobe evdev; hexdump -n 48 -v -e '24/1 \"%02x\" \"\\n\"' /dev/input/event0"
              + " | cut -c 33-; echo events-\"read\"\n");
      for (int i = 0; i < TRIES && !vm.out().contains("events-read"); i++) {
        partita(0, "type", "h");
        Thread.sleep(1000);
      }
      vm.expect("0100230001000000", SECONDS);
      vm.expect("events-read", SECONDS);

      vm.type("date +now-%s\n");
      vm.expect("\nnow-", SECONDS);
      vm.expect(PROMPT, SECONDS);
      var out = vm.out();
      var clock = out.substring(out.lastIndexOf("\nnow-") + 5).lines().findFirst().orElse("");
      assertThat(Long.parseLong(clock.strip()))
          .isBetween(
              System.currentTimeMillis() / 1000 - SECONDS, System.currentTimeMillis() / 1000 + 2);

      vm.type("dmesg -r | grep -E '^<[0-4]>' | grep -ciE 'hv_|hyper-?v|vmbus'\n");
      vm.expect("\n0\r\n", SECONDS);

      partita(0, "restart", "vm");
      vm.expect("nothing here lasts", BOOT_SECONDS);
      vm.expect(PROMPT, SECONDS);
      awaitServices();
      partita(0, "keys", "ctrl-alt-del");
      vm.expect("nothing here lasts", BOOT_SECONDS);
      partita(0, "restart", "--force");
      vm.expect("nothing here lasts", BOOT_SECONDS);
      vm.expect(PROMPT, SECONDS);
      awaitServices();
      partita(0, "stop", "--close-programs");
      assertThat(vm.exitCode(SECONDS)).as("%s", vm).isZero();
    }
    PartitaProcess.assertNothingLeft(runtime);
  }
}
