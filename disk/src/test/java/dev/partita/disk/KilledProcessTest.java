package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Kills processes that write to a VHDX, with SIGKILL, at changes of its file. Each time the disk
/// must open, pass a check and hold all that was flushed; then a second process goes on with it,
/// which replays the log, and is killed soon.
///
/// An ordinary run takes a few moments for each disk: before a change, or within it. The property
/// `partita.soak.disk` says of how many moments one is taken; 1 takes them all (`./partita soak
/// disk`).
class KilledProcessTest {
  private static final long SIZE = 48 << 20;
  private static final int SIGKILLED = 128 + 9;
  private static final int STEPS = 200;
  private static final int LATER_STEPS = 20;
  private static final int USUAL_KILLS = 4;

  @TempDir Path folder;

  private record Life(int completed, boolean closed, long changes, boolean killed) {}

  @ParameterizedTest
  @CsvSource({"DYNAMIC,512,1", "DIFFERENCING,512,2", "DYNAMIC,4096,3", "DIFFERENCING,4096,4"})
  void everythingFlushedOutlivesTheProcess(DiskType type, int sectorSize, long seed)
      throws Exception {
    Assumptions.assumeTrue(System.getProperty("os.name").equals("Linux"));
    var workload = new DiskWorkload(SIZE, sectorSize, true, new Random(seed));
    var made = make(type, sectorSize, workload);
    List<Set<Long>> initial;
    try (var disk = Disks.open(made, false)) {
      initial = workload.content(disk);
    }
    var disk = folder.resolve("disk.vhdx");
    Files.copy(made, disk);
    var whole = live(disk, sectorSize, seed, 0, STEPS, 0, KilledWriter.Where.BEFORE);
    assertThat(whole.killed).isFalse();
    assertThat(whole.completed).isEqualTo(STEPS);
    assertThat(whole.changes).isGreaterThan(100);

    var property = System.getProperty("partita.soak.disk");
    // Twice at each change: before it, and within it. Odd, so that a sample has both.
    long moments = 2 * whole.changes;
    long every = property == null ? moments / USUAL_KILLS | 1 : Long.parseLong(property);
    int kills = 0;
    for (long moment = seed % every; moment < moments; moment += every) {
      long change = 1 + moment / 2;
      var where = moment % 2 == 0 ? KilledWriter.Where.BEFORE : KilledWriter.Where.WITHIN;
      Files.copy(made, disk, StandardCopyOption.REPLACE_EXISTING);
      var first = live(disk, sectorSize, seed, 0, STEPS, change, where);
      assertThat(first.killed).as("%s change %d", where, change).isTrue();
      var left = verify(disk, workload, initial, seed, 0, STEPS, first, where + " " + change);
      kills++;
      // Replay, the first changes after it, or, for a change that does not come, to its end.
      long early = 1 + change * 7 % 16;
      var second = live(disk, sectorSize, seed, change, LATER_STEPS, early, where);
      var how = "%s %d, then %d".formatted(where, change, early);
      left = verify(disk, workload, left, seed, change, LATER_STEPS, second, how);
      kills += second.killed ? 1 : 0;
      atRest(disk, workload, left, how);
      if (property != null && moment % 40 < every) {
        System.out.printf("  change %d of %d%n", change, whole.changes);
      }
    }
    assertThat(kills).isGreaterThanOrEqualTo(USUAL_KILLS);
    System.out.printf(
        "%s, sectors of %d: %d kills, at %d changes of the file in the first process%n",
        type, sectorSize, kills, whole.changes);
  }

  private Path make(DiskType type, int sectorSize, DiskWorkload workload) throws IOException {
    var parent = folder.resolve("parent.vhdx");
    Disks.create(
        parent,
        CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE)
            .withBlockSize(1 << 20)
            .withSectorSizes(sectorSize, 4096));
    if (type == DiskType.DYNAMIC) {
      return parent;
    }
    try (var disk = Disks.open(parent, true)) {
      for (int i = 0; i < workload.followed().size(); i++) {
        workload.perform(new DiskWorkload.Step(DiskWorkload.Kind.WRITE, i, 1, -1 - i), disk);
      }
    }
    var child = folder.resolve("child.vhdx");
    Disks.create(child, CreateOptions.differencing(DiskFormat.VHDX, parent).withBlockSize(1 << 20));
    return child;
  }

  private static long number(long life) {
    return (life + 1) << 20;
  }

  /// Runs a process to its end or its killing.
  private static Life live(
      Path disk,
      int sectorSize,
      long seed,
      long life,
      int steps,
      long change,
      KilledWriter.Where where)
      throws IOException, InterruptedException {
    var process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xshare:auto",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                classes(Disks.class) + ":" + classes(KilledWriter.class),
                KilledWriter.class.getName(),
                disk.toString(),
                "" + SIZE,
                "" + sectorSize,
                "" + seed,
                "" + (seed << 32 | life),
                "" + number(life),
                "" + steps,
                "" + change,
                where.name())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try {
      process.getOutputStream().close();
      var said = new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isIn(0, SIGKILLED);
      int closed = said.indexOf('c');
      return new Life(
          closed < 0 ? said.length() : closed,
          closed >= 0,
          closed < 0 ? 0 : Long.parseLong(said.substring(closed + 1)),
          process.exitValue() == SIGKILLED);
    } finally {
      process.destroyForcibly();
    }
  }

  /// Where a class was loaded from.
  private static Path classes(Class<?> type) {
    var name = type.getName().replace('.', '/') + ".class";
    var loader = Objects.requireNonNull(type.getClassLoader());
    var url = Objects.requireNonNull(loader.getResource(name)).toString();
    return Path.of(URI.create(url.substring(0, url.length() - name.length())));
  }

  /// Checks what a process left, and tells what is on the disk.
  private static List<Set<Long>> verify(
      Path path,
      DiskWorkload workload,
      List<Set<Long>> initial,
      long seed,
      long life,
      int steps,
      Life lived,
      String how)
      throws IOException {
    // Time as the possible content needs it: each step takes two, and the process ended in the
    // midst of the first that did not complete.
    var random = new Random(seed << 32 | life);
    var actions = new ArrayList<DiskWorkload.Action>();
    for (int i = 0; i < steps; i++) {
      actions.add(
          new DiskWorkload.Action(workload.next(random, number(life) + i), 2 * i, 2 * i + 2));
    }
    if (lived.closed) {
      // Closing flushes.
      actions.add(
          new DiskWorkload.Action(
              new DiskWorkload.Step(DiskWorkload.Kind.FLUSH, 0, 0, 0), 2 * steps, 2 * steps + 1));
    }
    var possible = workload.possible(initial, actions, 2 * lived.completed + 1);
    var report = DiskCheck.check(path, DiskFormat.VHDX, false);
    assertThat(report.errors()).as(how).isEmpty();
    List<Set<Long>> content;
    try (var disk = Disks.open(path, false)) {
      content = workload.content(disk);
    }
    for (int i = 0; i < possible.size(); i++) {
      assertThat(possible.get(i))
          .as("%s, after %d steps, sector at %#x", how, lived.completed, workload.followed().get(i))
          .containsAll(content.get(i));
    }
    return content;
  }

  /// Opened for writing, which replays, and closed, the disk holds what it held.
  private static void atRest(Path path, DiskWorkload workload, List<Set<Long>> left, String how)
      throws IOException {
    try (var disk = Disks.open(path, true)) {
      assertThat(workload.content(disk)).as(how).isEqualTo(left);
      disk.write(0, MemorySegment.ofArray(new byte[workload.sectorSize()]));
    }
    var report = DiskCheck.check(path, DiskFormat.VHDX, false);
    assertThat(report.errors()).as(how).isEmpty();
    assertThat(report.notes()).as(how).noneMatch(note -> note.contains("log"));
    try (var disk = Disks.open(path, false)) {
      assertThat(workload.content(disk)).as(how).isEqualTo(left);
    }
  }
}
