package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Disks and DVD drives under the distribution's own drivers, by the commands that a person uses.
@Timeout(600)
class StorageTest {
  /// A boot takes some seconds on an idle machine; a loaded one gets time.
  private static final int BOOT_SECONDS = 240;

  private static final int SECONDS = 60;
  private static final int MEBIBYTE = 1 << 20;

  @TempDir Path runtime;
  @TempDir Path files;

  private String succeed(String... arguments) throws Exception {
    try (var partita = PartitaProcess.start(runtime, arguments)) {
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
      return partita.out();
    }
  }

  /// Runs commands in the guest until they have printed a line.
  private static void inGuest(PartitaProcess guest, String commands, String line) throws Exception {
    guest.type(commands + "\n");
    guest.expect("\n" + line + "\r\n", SECONDS);
  }

  @Test
  void disksAreWrittenFlushedAndChangedWhileTheGuestRuns() throws Exception {
    var base = files.resolve("base.vhdx").toString();
    var child = files.resolve("child.vhdx").toString();
    var extra = files.resolve("extra.vhd").toString();
    var image = files.resolve("image.iso");
    succeed("disk", "create", base, "64M");
    succeed("disk", "create", "--parent", base, child);
    succeed("disk", "create", extra, "64M");
    var bytes = new byte[MEBIBYTE];
    Arrays.fill(bytes, (byte) 'x');
    Files.write(image, bytes);
    try (var guest =
        PartitaProcess.start(
            runtime, "run", "debian-initramfs", "--cpus", "2", "--disk", child, "--dvd", "none")) {
      guest.expect("nothing here lasts", BOOT_SECONDS);
      inGuest(guest, "ls /sys/bus/vmbus/devices/f8b3781a*/channels | wc -w", "2");
      inGuest(
          guest,
          "yes partita | dd of=/dev/sda bs=64k count=16 iflag=fullblock conv=fsync 2>&1"
              + " | head -n 1",
          "16+0 records in");
      succeed("drive", "add", "--disk", extra);
      succeed("drive", "insert", image.toString());
      inGuest(guest, "until [ -b /dev/sdb ]; do sleep 1; done; echo found", "found");
      inGuest(
          guest, "yes more | head -c 1048576 > /dev/sdb; sync; tr -d x < /dev/sr0 | wc -c", "0");
      assertThat(succeed("drive", "list").lines())
          .hasSize(4)
          .anyMatch(line -> line.matches(" *2 +disk +vhd +rw .*" + extra));
      succeed("drive", "remove", "2");
      succeed("drive", "eject");
      inGuest(guest, "while [ -b /dev/sdb ]; do sleep 1; done; echo gone", "gone");
      inGuest(
          guest,
          "dmesg | grep -ciE 'storvsc.*(status|invalid)|I/O error|failed:|BUG:|call trace'",
          "0");
      guest.type("poweroff\n");
      assertThat(guest.exitCode(SECONDS)).as("%s", guest).isZero();
    }
    for (var each : List.of(base, child, extra)) {
      succeed("disk", "check", each);
    }
    assertContent(child, "partita\n");
    assertContent(extra, "more\n");
    assertContent(base, "\0");
    PartitaProcess.assertNothingLeft(runtime);
  }

  /// The first mebibyte repeats a text.
  private void assertContent(String disk, String text) throws Exception {
    var raw = files.resolve(Path.of(disk).getFileName() + ".raw");
    succeed("disk", "convert", disk, raw.toString());
    try (var in = Files.newInputStream(raw)) {
      var wanted = text.repeat(MEBIBYTE / text.length() + 1).substring(0, MEBIBYTE);
      assertThat(new String(in.readNBytes(MEBIBYTE), java.nio.charset.StandardCharsets.US_ASCII))
          .isEqualTo(wanted);
    }
  }
}
