package dev.partita.disk;

import java.util.concurrent.locks.ReentrantReadWriteLock;

/// Locks for the blocks of a disk, each shared by many blocks. A request that reads or writes a
/// block where it is shares its lock; one that moves the block takes it alone. No thread holds two
/// locks of one disk.
final class BlockLocks {
  private static final int COUNT = 64; // a power of two

  private final ReentrantReadWriteLock[] locks = new ReentrantReadWriteLock[COUNT];

  BlockLocks() {
    for (int i = 0; i < COUNT; i++) {
      locks[i] = new ReentrantReadWriteLock();
    }
  }

  ReentrantReadWriteLock of(int block) {
    return locks[block & (COUNT - 1)];
  }
}
