package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Cuts the power after every single change that a disk makes to its file. What was forced before
/// is there; of the changes since, each is lost, whole, or there in some of its sectors. The disk
/// must open, be sound, and hold everything that was flushed.
class PowerCutTest {
  private static final int SECTOR = DiskWorkload.PIECE;

  @ParameterizedTest
  @CsvSource({
    "VHDX,DYNAMIC,512,1", "VHDX,DYNAMIC,4096,2", "VHDX,DIFFERENCING,512,3",
        "VHDX,DIFFERENCING,512,4",
    "VHDX,FIXED,512,5", "VHD,DYNAMIC,512,6", "VHD,DIFFERENCING,512,7", "VHDX,DYNAMIC,512,8",
    "VHDX,DIFFERENCING,512,109", "VHDX,DYNAMIC,512,110", "VHD,DIFFERENCING,512,111"
  })
  void everythingFlushedOutlivesAPowerCut(
      DiskFormat format, DiskType type, int sectorSize, long seed) throws Exception {
    var random = new Random(seed);
    var file = new MemoryFile();
    long size = 48 << 20;
    create(file, format, type, size, sectorSize);
    var parent =
        type == DiskType.DIFFERENCING
            ? new FlatImage(DiskFormat.RAW, MemoryFile.of(parentContent((int) size)), size)
            : null;
    var medium = file.copy(false);
    int created = file.count();
    var workload = new DiskWorkload(size, sectorSize, seed > 100, random);
    var initial = new ArrayList<Set<Long>>();
    for (long offset : workload.followed()) {
      initial.add(Set.of(parent == null ? 0L : -1L - offset / SECTOR));
    }
    var actions = new ArrayList<DiskWorkload.Action>();
    var disk = open(file, format, parent);
    for (int i = 0; i < 260; i++) {
      int begin = file.count();
      var step = workload.next(random, i + 1);
      workload.perform(step, disk);
      actions.add(new DiskWorkload.Action(step, begin, file.count()));
    }
    disk.close();
    var changes = file.changes().subList(created, file.count());

    // The medium holds what was forced; `pending` is what was not.
    var pending = new ArrayList<MemoryFile.Change>();
    int cuts = 0;
    for (int cut = 0; cut <= changes.size(); cut++) {
      int attempts = !pending.isEmpty() && isLog(pending.getLast()) ? 6 : 1;
      for (int attempt = 0; attempt < attempts; attempt++) {
        var left = medium.copy(false);
        for (var change : pending) {
          left.applyTorn(change, random);
        }
        var possible = workload.possible(initial, actions, created + cut);
        verify(left, format, parent, workload, possible, created + cut, random);
        cuts++;
      }
      if (cut < changes.size()) {
        var change = changes.get(cut);
        if (change instanceof MemoryFile.Change.Force) {
          pending.forEach(medium::apply);
          pending.clear();
        } else {
          pending.add(change);
        }
      }
    }
    assertThat(cuts).isGreaterThan(200);
  }

  /// Whether a change is in the log of a VHDX file as this module lays it out.
  private static boolean isLog(MemoryFile.Change change) {
    return change instanceof MemoryFile.Change.Write(var offset, _) && offset >>> 20 == 1;
  }

  private static byte[] parentContent(int size) {
    var bytes = ByteBuffer.allocate(size);
    for (int sector = 0; sector < size / SECTOR; sector++) {
      bytes.putLong(sector * SECTOR, -1L - sector);
    }
    return bytes.array();
  }

  private static void create(
      MemoryFile file, DiskFormat format, DiskType type, long size, int sectorSize)
      throws IOException {
    boolean differencing = type == DiskType.DIFFERENCING;
    var locator = new ParentLocator(new UUID(1, 2), null, "./parent", null);
    if (format == DiskFormat.VHDX) {
      VhdxStructures.create(
          file,
          new VhdxMetadata(
              1 << 20,
              type == DiskType.FIXED,
              differencing,
              size,
              UUID.randomUUID(),
              sectorSize,
              4096,
              differencing ? locator : null,
              java.util.Map.of()),
          false);
    } else {
      VhdStructures.createSparse(
          file,
          size,
          512 << 10,
          differencing ? new VhdStructures.Parent(new UUID(1, 2), 0, locator) : null,
          java.time.Instant.EPOCH);
    }
  }

  private static OpenDisk open(DiskFile file, DiskFormat format, @Nullable FlatImage parent)
      throws IOException {
    return DiskChain.open(
        file,
        format,
        (_, _) -> parent == null ? null : new OpenDisk(parent, new MemoryFile(), null, null));
  }

  private static void verify(
      MemoryFile left,
      DiskFormat format,
      @Nullable FlatImage parent,
      DiskWorkload workload,
      List<Set<Long>> possible,
      int cut,
      Random random)
      throws IOException {
    var report = DiskCheck.check(left.copy(true), format, false);
    assertThat(errorsBeyondCopies(report)).as("after change %d", cut).isEmpty();
    // As a reader that may not replay, as a writer that does, and as a writer whose power is cut
    // once more while it replays.
    verifyContent(open(left.copy(true), format, parent), workload, possible, cut, "read");
    if (random.nextInt(4) == 0) {
      var again = left.copy(false);
      var replaying = again.copy(false);
      open(replaying, format, parent).abandon();
      var replay = replaying.changes();
      int second = replay.isEmpty() ? 0 : random.nextInt(replay.size());
      replayCut(again, replay.subList(0, second), random);
      verifyContent(open(again, format, parent), workload, possible, cut, "cut again");
      var repaired = DiskCheck.check(again, format, true);
      assertThat(repaired.errors()).isEmpty();
      assertThat(errorsBeyondCopies(DiskCheck.check(again.copy(true), format, false))).isEmpty();
    }
  }

  /// A torn copy of a structure that has another is what a power cut may leave.
  private static List<String> errorsBeyondCopies(CheckReport report) {
    return report.errors().stream().filter(e -> !e.endsWith("repair mends it")).toList();
  }

  private static void replayCut(MemoryFile medium, List<MemoryFile.Change> changes, Random random) {
    var pending = new ArrayList<MemoryFile.Change>();
    for (var change : changes) {
      if (change instanceof MemoryFile.Change.Force) {
        pending.forEach(medium::apply);
        pending.clear();
      } else {
        pending.add(change);
      }
    }
    pending.forEach(change -> medium.applyTorn(change, random));
  }

  private static void verifyContent(
      OpenDisk disk, DiskWorkload workload, List<Set<Long>> possible, int cut, String how)
      throws IOException {
    try {
      // A sector of 4096 bytes can be torn in the file: each 512 bytes stand for themselves.
      var content = workload.content(disk);
      for (int i = 0; i < possible.size(); i++) {
        assertThat(possible.get(i))
            .as("%s, after change %d, sector at %#x", how, cut, workload.followed().get(i))
            .containsAll(content.get(i));
      }
    } finally {
      disk.abandon();
    }
  }
}
