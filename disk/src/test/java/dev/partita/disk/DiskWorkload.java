package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/// Writes, zeroes, trims and flushes at random, and what the disk may hold after they were cut off.
///
/// Some sectors are followed, spread over many blocks, some of them neighbours. What each step puts
/// there is a number of its own, so that it is known later which steps a sector has seen.
final class DiskWorkload {
  /// What the content of a sector is told by: the first 8 of each 512 bytes.
  static final int PIECE = 512;

  /// Trims are of whole blocks of this size, so that their room is given back and taken again.
  private static final int BLOCK = 1 << 20;

  enum Kind {
    WRITE,
    ZERO,
    TRIM,
    FLUSH
  }

  /// One thing to do.
  ///
  /// @param first the followed sector where it begins; of a trim, the block
  /// @param count sectors
  record Step(Kind kind, int first, int count, long value) {}

  /// A step that was begun.
  ///
  /// @param begin when, by a clock of the test's choice
  /// @param end when it had ended
  record Action(Step step, int begin, int end) {}

  private final List<Long> followed = new ArrayList<>();
  private final int sectorSize;
  private final boolean manyFlushes;

  /// @param manyFlushes as many as fill a log more than once
  DiskWorkload(long size, int sectorSize, boolean manyFlushes, Random random) {
    this.sectorSize = sectorSize;
    this.manyFlushes = manyFlushes;
    // The same few places in every block: what a block's room held before would be seen in another.
    while (followed.size() < 80) {
      long block = random.nextLong(size / BLOCK) * BLOCK;
      long offset = block + random.nextInt(1, 4) * 0x12000L + (random.nextInt(2) << 14);
      followed.add(offset);
      followed.add(offset + sectorSize);
    }
  }

  /// Where the followed sectors are, in bytes.
  List<Long> followed() {
    return followed;
  }

  int sectorSize() {
    return sectorSize;
  }

  Step next(Random random, long value) {
    int first = random.nextInt(followed.size() / 2) * 2;
    int count = 1 + random.nextInt(2);
    int dice = random.nextInt(manyFlushes ? 180 : 100);
    var kind = dice < 60 ? Kind.WRITE : dice < 68 ? Kind.ZERO : dice < 80 ? Kind.TRIM : Kind.FLUSH;
    return new Step(kind, kind == Kind.TRIM ? block(first) : first, count, value);
  }

  private int block(int index) {
    return (int) (followed.get(index) / BLOCK);
  }

  void perform(Step step, VirtualDisk disk) throws IOException {
    switch (step.kind) {
      case WRITE -> {
        var bytes = ByteBuffer.allocate(step.count * sectorSize);
        for (int at = 0; at < bytes.capacity(); at += 8) {
          bytes.putLong(at, step.value);
        }
        disk.write(followed.get(step.first), MemorySegment.ofBuffer(bytes));
      }
      case ZERO -> disk.writeZeroes(followed.get(step.first), (long) step.count * sectorSize);
      case TRIM -> disk.trim((long) step.first * BLOCK, BLOCK);
      case FLUSH -> disk.flush();
    }
  }

  /// What each followed sector may hold.
  ///
  /// @param initial what it may have held before the first action
  /// @param cut when all ended: what begins then has not begun, what ends then has ended
  List<Set<Long>> possible(List<Set<Long>> initial, List<Action> actions, int cut) {
    var possible = new ArrayList<Set<Long>>();
    initial.forEach(values -> possible.add(new HashSet<>(values)));
    // What the last action on each sector makes of it, once it is flushed.
    var last = new ArrayList<>(initial);
    for (var action : actions) {
      var step = action.step;
      if (action.begin >= cut && step.kind != Kind.FLUSH) {
        break;
      }
      switch (step.kind) {
        case FLUSH -> {
          if (action.end <= cut && action.begin <= cut) {
            for (int i = 0; i < possible.size(); i++) {
              possible.set(i, new HashSet<>(last.get(i)));
            }
          }
        }
        case TRIM -> {
          for (int i = 0; i < possible.size(); i++) {
            if (block(i) == step.first) {
              var after = new HashSet<>(last.get(i));
              after.add(0L);
              possible.get(i).addAll(after);
              last.set(i, after);
            }
          }
        }
        default -> {
          for (int i = 0; i < possible.size(); i++) {
            long distance = followed.get(i) - followed.get(step.first);
            if (distance >= 0 && distance < (long) step.count * sectorSize) {
              long value = step.kind == Kind.ZERO ? 0 : step.value;
              possible.get(i).add(value);
              last.set(i, Set.of(value));
            }
          }
        }
      }
    }
    return possible;
  }

  /// What each followed sector holds: one number, or several when it was torn.
  List<Set<Long>> content(VirtualDisk disk) throws IOException {
    var content = new ArrayList<Set<Long>>();
    for (long offset : followed) {
      var sector = ByteBuffer.wrap(Contents.read(disk, offset, sectorSize));
      var values = new HashSet<Long>();
      for (int at = 0; at < sectorSize; at += PIECE) {
        values.add(sector.getLong(at));
      }
      content.add(values);
    }
    return content;
  }
}
