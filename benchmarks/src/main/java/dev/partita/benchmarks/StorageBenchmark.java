package dev.partita.benchmarks;

import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Runs fio in a Debian guest on a VHDX through VMBus under Partita, and in the same guest with the
/// same kernel under QEMU's TCG with virtio-blk, on a raw file and on a VHDX.
///
/// The script that calls fio is the kernel's `init`, from a disk of its own: nothing else runs in
/// the guest. fio's own figures count: direct I/O, libaio, by the guest's clock.
///
/// Partita / QEMU VHDX, 1 processor, translator on, QEMU 7.2, 2 shared cores, one run of 2 s a job
/// (2026-11-22): sequential write 0.55 (one at a time) and 0.19 (32), sequential read 0.20 and
/// 0.09, random read 0.25 and 0.15, random write 0.41 and 0.19.
@Command(
    name = "storage",
    description = {
      "Runs fio in a Debian guest: 4 KiB random and 1 MiB sequential reads and writes, one and 32 at"
          + " a time; on a dynamic VHDX through VMBus under Partita, and with virtio-blk under QEMU"
          + " TCG on a raw file and on a dynamic VHDX, in turn. The first time it makes the guest's"
          + " disk from Debian's packages."
    },
    mixinStandardHelpOptions = true)
final class StorageBenchmark implements Callable<Integer> {
  private static final long TEST_SIZE = 256L << 20;
  private static final int SECTOR = 512;

  private static final Pattern RESULT = Pattern.compile("fio ([a-z0-9-]+) ([0-9]+) ([0-9]+)\\s*");

  /// What is measured, in the order in which it runs: the first fills the disk.
  private static final List<Job> JOBS =
      List.of(
          new Job("seq-write-1", "write", "1m", 1),
          new Job("seq-write-32", "write", "1m", 32),
          new Job("seq-read-1", "read", "1m", 1),
          new Job("seq-read-32", "read", "1m", 32),
          new Job("rand-read-1", "randread", "4k", 1),
          new Job("rand-read-32", "randread", "4k", 32),
          new Job("rand-write-1", "randwrite", "4k", 1),
          new Job("rand-write-32", "randwrite", "4k", 32));

  @Mixin private final GuestOptions options = new GuestOptions();

  @Option(
      names = {"-n", "--runs"},
      defaultValue = "1",
      description = "Guests of each; the median counts (default: ${DEFAULT-VALUE}).")
  private int runs;

  @Option(
      names = "--seconds",
      defaultValue = "5",
      description = "How long each job runs (default: ${DEFAULT-VALUE}).")
  private int seconds;

  @Option(
      names = {"-c", "--cpus"},
      defaultValue = "1",
      description = "Virtual processors (default: ${DEFAULT-VALUE}).")
  private int processors;

  private record Job(String name, String pattern, String blockSize, int depth) {
    boolean isSequential() {
      return name.startsWith("seq");
    }
  }

  /// What fio tells of a job.
  ///
  /// @param bandwidth KiB a second
  /// @param operations a second
  private record Result(double bandwidth, double operations) {}

  private enum Contender {
    PARTITA_VHDX,
    QEMU_RAW,
    QEMU_VHDX
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    var launcher = SideBySide.launcher("storage");
    options.requirePrograms();
    var contenders =
        Stream.of(Contender.values())
            .filter(each -> each == Contender.PARTITA_VHDX ? options.partita() : options.qemu())
            .toList();
    try (var disk = BenchmarkDisk.prepare("fio", List.of("fio"))) {
      disk.raw(disk.vhdx());
      var all = new LinkedHashMap<Contender, Map<String, List<Result>>>();
      for (int i = 0; i < runs; i++) {
        for (var contender : contenders) {
          System.err.println(contender + " ...");
          var results = run(contender, command(contender, launcher, disk));
          var mine = all.computeIfAbsent(contender, _ -> new LinkedHashMap<>());
          results.forEach(
              (job, result) -> mine.computeIfAbsent(job, _ -> new ArrayList<>()).add(result));
        }
      }
      report(all);
    }
    return 0;
  }

  private List<String> command(Contender contender, String launcher, BenchmarkDisk disk)
      throws IOException {
    boolean partita = contender == Contender.PARTITA_VHDX;
    // SCSI disks are found in any order: the script goes by its path, with the LUN in it, and the
    // disk that it measures by its size.
    var script = script(disk, partita ? "sd" : "vd");
    // The arguments after -- are init's.
    var commandLine =
        disk.commandLine()
            + SideBySide.COMMON_PARAMETERS
            + " panic=-1 init=/bin/sh -- -c \". "
            + (partita ? "/dev/disk/by-path/*lun-1" : "/dev/vdb")
            + "\"";
    var guest =
        new SideBySide.Guest(disk.kernel(), disk.initrd(), commandLine, options.memory, processors);
    if (options.partita()) {
      return SideBySide.partita(
          launcher,
          guest,
          "--disk",
          disk.child("root.vhdx", disk.vhdx()).toString(),
          "--disk",
          script + ",readonly",
          "--disk",
          disk.empty("test.vhdx", DiskFormat.VHDX, DiskType.DYNAMIC, TEST_SIZE).toString());
    }
    var test =
        contender == Contender.QEMU_RAW
            ? disk.empty("test.raw", DiskFormat.RAW, DiskType.FIXED, TEST_SIZE)
            : disk.empty("test.vhdx", DiskFormat.VHDX, DiskType.DYNAMIC, TEST_SIZE);
    return SideBySide.qemu(
        guest,
        "-drive",
        "if=virtio,format=raw,snapshot=on,file=" + disk.raw(),
        "-drive",
        "if=virtio,format=raw,readonly=on,file=" + script,
        "-drive",
        "if=virtio,format=" + (contender == Contender.QEMU_RAW ? "raw" : "vhdx") + ",file=" + test);
  }

  /// The disk with what the guest runs.
  private Path script(BenchmarkDisk disk, String prefix) throws IOException {
    var text = new StringBuilder();
    text.append("mount -t tmpfs tmpfs /run\nfor d in /sys/block/%s?; do\n".formatted(prefix))
        .append("[ $(cat $d/size) = %d ] && test=/dev/${d##*/}\n".formatted(TEST_SIZE / SECTOR))
        .append("done\n");
    for (var job : JOBS) {
      // Fields of the terse format, version 3: bandwidth and operations of reads 7 and 8, of writes
      // 48 and 49 (fio's manual, "Terse output"). The disk is filled once, whatever the time.
      text.append(
              "set -- $(fio --name=%s --filename=$test --rw=%s --bs=%s --iodepth=%d"
                  .formatted(job.name, job.pattern, job.blockSize, job.depth))
          .append(" --direct=1 --ioengine=libaio --size=%d".formatted(TEST_SIZE))
          .append(job == JOBS.getFirst() ? "" : " --time_based --runtime=%d".formatted(seconds))
          .append(" --minimal | cut -d';' -f7,8,48,49 --output-delimiter=' ')\n")
          .append("echo \"fio %s $(($1 + $3)) $(($2 + $4))\"\n".formatted(job.name));
    }
    text.append("poweroff -ff\n");
    return disk.script(text.toString());
  }

  private Map<String, Result> run(Contender contender, List<String> command)
      throws IOException, InterruptedException {
    var output = SideBySide.run(command, options.limit);
    var results = new LinkedHashMap<String, Result>();
    for (var line : output.out().lines().toList()) {
      var match = RESULT.matcher(line);
      if (match.matches()) {
        results.put(
            match.group(1),
            new Result(Double.parseDouble(match.group(2)), Double.parseDouble(match.group(3))));
      }
    }
    if (results.size() != JOBS.size()
        || results.values().stream().anyMatch(result -> result.operations == 0)) {
      throw new IOException(
          "%s: exit code %d; it says: %s; its console ends with: %s"
              .formatted(
                  contender, output.exitCode(), output.errors().strip(), output.lastWords()));
    }
    return results;
  }

  private void report(Map<Contender, Map<String, List<Result>>> all) {
    System.out.printf(
        "fio in the guest, %d processor(s), %d MiB; 4 KiB random: operations a second; 1 MiB"
            + " sequential: MiB a second%n",
        processors, options.memory);
    System.out.printf(
        "%-14s %14s %12s %12s %16s %17s%n",
        "", "Partita VHDX", "QEMU raw", "QEMU VHDX", "Partita/QEMU raw", "Partita/QEMU VHDX");
    for (var job : JOBS) {
      double partita = median(all, Contender.PARTITA_VHDX, job);
      double raw = median(all, Contender.QEMU_RAW, job);
      double vhdx = median(all, Contender.QEMU_VHDX, job);
      System.out.printf(
          "%-14s %14.0f %12.0f %12.0f %16.2f %17.2f%n",
          job.name, partita, raw, vhdx, partita / raw, partita / vhdx);
    }
  }

  private static double median(
      Map<Contender, Map<String, List<Result>>> all, Contender contender, Job job) {
    var values =
        all.getOrDefault(contender, Map.of()).getOrDefault(job.name, List.of()).stream()
            .mapToDouble(r -> job.isSequential() ? r.bandwidth / 1024 : r.operations)
            .sorted()
            .toArray();
    return values.length == 0 ? Double.NaN : values[values.length / 2];
  }
}
