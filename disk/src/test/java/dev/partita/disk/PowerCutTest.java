package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
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
  private static final int SECTOR = 512;

  /// Sectors whose content is followed: spread over many blocks, some of them neighbours.
  private final List<Long> watched = new ArrayList<>();

  /// What the test did, and between which changes of the file.
  private record Action(int begin, int end, int firstWatched, int count, long value, Kind kind) {}

  private boolean manyFlushes;

  private enum Kind {
    WRITE,
    ZERO,
    TRIM,
    FLUSH
  }

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
    manyFlushes = seed > 100;
    var file = new MemoryFile();
    long size = 48 << 20;
    create(file, format, type, size, sectorSize);
    var parent =
        type == DiskType.DIFFERENCING
            ? new FlatImage(DiskFormat.RAW, MemoryFile.of(parentContent((int) size)), size)
            : null;
    var medium = file.copy(false);
    int created = file.count();
    watch(size, sectorSize, random);
    var actions = new ArrayList<Action>();
    var disk = open(file, format, parent);
    for (int i = 0; i < 260; i++) {
      actions.add(act(disk, file, random, i, sectorSize));
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
        verify(left, format, parent, actions, created + cut, sectorSize, random);
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

  private void watch(long size, int sectorSize, Random random) {
    watched.clear();
    // The same few places in every block: what a block's room held before would be seen in another.
    while (watched.size() < 80) {
      long block = random.nextLong(size >>> 20) << 20;
      long offset = block + random.nextInt(1, 4) * 0x12000L + (random.nextInt(2) << 14);
      watched.add(offset);
      watched.add(offset + sectorSize);
    }
  }

  private Action act(OpenDisk disk, MemoryFile file, Random random, int number, int sectorSize)
      throws IOException {
    int begin = file.count();
    int first = random.nextInt(watched.size() / 2) * 2;
    int count = 1 + random.nextInt(2);
    // Many flushes fill the log more than once.
    int dice = random.nextInt(manyFlushes ? 180 : 100);
    var kind = dice < 60 ? Kind.WRITE : dice < 68 ? Kind.ZERO : dice < 80 ? Kind.TRIM : Kind.FLUSH;
    long offset = watched.get(first);
    switch (kind) {
      case WRITE -> {
        var bytes = ByteBuffer.allocate(count * sectorSize);
        for (int at = 0; at < bytes.capacity(); at += 8) {
          bytes.putLong(at, number + 1);
        }
        disk.write(offset, MemorySegment.ofBuffer(bytes));
      }
      case ZERO -> disk.writeZeroes(offset, (long) count * sectorSize);
      case TRIM -> {
        // Whole blocks, so that their room is given back and taken again.
        long block = offset & -(1 << 20);
        first = -1;
        disk.trim(block, 1 << 20);
        return new Action(begin, file.count(), -1, (int) (block >>> 20), 0, Kind.TRIM);
      }
      case FLUSH -> disk.flush();
    }
    return new Action(begin, file.count(), first, count, number + 1, kind);
  }

  /// What each watched sector may hold after the cut.
  private List<Set<Long>> possible(List<Action> actions, int cut, DiskType type, int sectorSize) {
    var possible = new ArrayList<Set<Long>>();
    for (long offset : watched) {
      possible.add(
          new HashSet<>(Set.of(type == DiskType.DIFFERENCING ? -1L - offset / SECTOR : 0L)));
    }
    // What the last action on each sector makes of it, once it is flushed.
    var last = new ArrayList<Set<Long>>(possible);
    for (var action : actions) {
      if (action.begin >= cut && action.kind != Kind.FLUSH) {
        break;
      }
      switch (action.kind) {
        case FLUSH -> {
          if (action.end <= cut && action.begin <= cut) {
            for (int i = 0; i < possible.size(); i++) {
              possible.set(i, new HashSet<>(last.get(i)));
            }
          }
        }
        case TRIM -> {
          for (int i = 0; i < possible.size(); i++) {
            if (watched.get(i) >>> 20 == action.count) {
              var after = new HashSet<>(last.get(i));
              after.add(0L);
              possible.get(i).addAll(after);
              last.set(i, after);
            }
          }
        }
        default -> {
          for (int i = 0; i < possible.size(); i++) {
            long distance = watched.get(i) - watched.get(action.firstWatched);
            if (distance >= 0 && distance < (long) action.count * sectorSize) {
              long value = action.kind == Kind.ZERO ? 0 : action.value;
              possible.get(i).add(value);
              last.set(i, Set.of(value));
            }
          }
        }
      }
    }
    return possible;
  }

  private void verify(
      MemoryFile left,
      DiskFormat format,
      @Nullable FlatImage parent,
      List<Action> actions,
      int cut,
      int sectorSize,
      Random random)
      throws IOException {
    var report = DiskCheck.check(left.copy(true), format, false);
    assertThat(errorsBeyondCopies(report)).as("after change %d", cut).isEmpty();
    var possible =
        possible(
            actions, cut, parent == null ? DiskType.DYNAMIC : DiskType.DIFFERENCING, sectorSize);
    // As a reader that may not replay, as a writer that does, and as a writer whose power is cut
    // once more while it replays.
    verifyContent(open(left.copy(true), format, parent), possible, cut, "read");
    if (random.nextInt(4) == 0) {
      var again = left.copy(false);
      var replaying = again.copy(false);
      open(replaying, format, parent).abandon();
      var replay = replaying.changes();
      int second = replay.isEmpty() ? 0 : random.nextInt(replay.size());
      replayCut(again, replay.subList(0, second), random);
      verifyContent(open(again, format, parent), possible, cut, "cut again");
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

  private void verifyContent(OpenDisk disk, List<Set<Long>> possible, int cut, String how)
      throws IOException {
    try {
      for (int i = 0; i < possible.size(); i++) {
        var sector = Contents.read(disk, watched.get(i), disk.logicalSectorSize());
        // A sector of 4096 bytes can be torn in the file: each 512 bytes stand for themselves.
        for (int at = 0; at < sector.length; at += SECTOR) {
          long value = ByteBuffer.wrap(sector).getLong(at);
          assertThat(possible.get(i))
              .as("%s, after change %d, sector at %#x", how, cut, watched.get(i) + at)
              .contains(value);
        }
      }
    } finally {
      disk.abandon();
    }
  }
}
