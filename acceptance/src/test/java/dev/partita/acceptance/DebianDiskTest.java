package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// A Debian with systemd, from the distribution's packages onto a disk to its login prompt, with
/// its own drivers; its checks of what it wrote; its start of a new kernel by itself.
@Timeout(1500)
class DebianDiskTest {
  /// An idle machine takes one minute; a loaded one gets time.
  private static final int BUILD_SECONDS = 600;

  /// Less than a minute on an idle machine.
  private static final int BOOT_SECONDS = 480;

  private static final int SECONDS = 120;
  private static final String PROMPT = "$ ";

  /// Writes 24 MiB in pieces of many sizes, or only reads them back and compares.
  /// On the second disk. Its name is not always sdb: the kernel looks at disks side by side, and
  /// who is found first is sda.
  private static final String FIO =
      "sudo fio --name=v --filename=/dev/$(ls /sys/bus/scsi/devices/*:0:0:1/block) --direct=1"
          + " --ioengine=libaio --iodepth=16"
          + " --rw=randwrite --bsrange=4k-64k --size=24M --verify=crc32c --verify_fatal=1"
          + " --output=/dev/null";

  @TempDir Path runtime;
  @TempDir Path files;

  private String succeed(int seconds, String... arguments) throws Exception {
    try (var partita = PartitaProcess.start(runtime, arguments)) {
      assertThat(partita.exitCode(seconds)).as("%s", partita).isZero();
      return partita.out();
    }
  }

  private String file(String name) {
    return files.resolve(name).toString();
  }

  private static void logIn(PartitaProcess guest) throws Exception {
    guest.expect("login: ", BOOT_SECONDS);
    guest.type("partita\n");
    guest.expect(PROMPT, SECONDS);
  }

  /// Runs commands in the guest until they have printed a line, which is not in the commands.
  private static void inGuest(PartitaProcess guest, String commands, String line) throws Exception {
    guest.type(commands + "\n");
    guest.expect(line + "\r\n", SECONDS);
  }

  /// The drivers have their devices, and nothing to complain of.
  private static void driversAreBound(PartitaProcess guest) throws Exception {
    inGuest(
        guest,
        "for i in hv_storvsc hyperv_keyboard hv_utils; do"
            + " ls -d /sys/bus/vmbus/drivers/$i/*-*-*-*-* | wc -l; done | xargs echo bound",
        "bound 1 1 6");
    inGuest(
        guest,
        "echo complaints $(sudo dmesg -l warn,err,crit,alert,emerg"
            + " | grep -ciE 'hyper|vmbus|hv_|storvsc|I/O error')",
        "complaints 0");
  }

  @Test
  void itBootsWritesAndStartsAnewWithItsOwnDrivers() throws Exception {
    var chain = List.of(file("data.vhdx"), file("1.vhdx"), file("2.vhdx"), file("3.vhdx"));
    var system = List.of(file("base.vhdx"), file("system.vhdx"));
    succeed(
        BUILD_SECONDS,
        "image",
        "build",
        "debian",
        "--package",
        "fio",
        "--package",
        "kexec-tools",
        "-o",
        system.getFirst());
    succeed(SECONDS, "disk", "create", "--parent", system.getFirst(), system.getLast());
    succeed(SECONDS, "disk", "create", chain.getFirst(), "64M");
    succeed(SECONDS, "disk", "create", file("extra.vhdx"), "16M");
    for (int i = 1; i < chain.size(); i++) {
      succeed(SECONDS, "disk", "create", "--parent", chain.get(i - 1), chain.get(i));
    }
    try (var guest =
        PartitaProcess.start(
            runtime,
            "run",
            "--cpus",
            "2",
            "--memory",
            "1G",
            "--disk",
            system.getLast(),
            "--disk",
            chain.getLast())) {
      logIn(guest);
      driversAreBound(guest);
      // Another disk comes and goes meanwhile.
      guest.type(FIO + " --do_verify=1; echo first=$?\n");
      for (int i = 0; i < 3; i++) {
        succeed(SECONDS, "drive", "add", "--disk", file("extra.vhdx"));
        succeed(SECONDS, "drive", "remove", "2");
      }
      guest.expect("first=0\r\n", SECONDS);
      guest.type(
          "sudo kexec -l /vmlinuz --initrd=/initrd.img --reuse-cmdline && sudo systemctl kexec\n");
      guest.expect("Linux version ", BOOT_SECONDS);
      logIn(guest);
      driversAreBound(guest);
      inGuest(guest, FIO + " --verify_only; echo second=$?", "second=0");
      guest.type("sudo poweroff\n");
      assertThat(guest.exitCode(SECONDS)).as("%s", guest).isZero();
      assertThat(guest.wholeErr())
          .contains("kernel from system.vhdx: /vmlinuz in partition 1 (ext4");
    }
    for (var each : List.of(system, chain)) {
      for (var disk : each) {
        succeed(SECONDS, "disk", "check", disk);
      }
    }
    PartitaProcess.assertNothingLeft(runtime);
  }
}
