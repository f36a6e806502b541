package dev.partita.chipset.device;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// What the host sends to a serial port and the port has not received yet: a bounded queue of bytes
/// and breaks. When it is full the host waits; nothing is dropped. Thread-safe.
final class SerialInput {
  /// Bytes that wait at most.
  static final int CAPACITY = 1 << 16;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition room = lock.newCondition();
  private final short[] ring = new short[CAPACITY];
  private int head;
  private int size;

  /// Adds as many bytes as there is room for.
  ///
  /// @return how many
  int offer(byte[] bytes, int offset, int length) {
    lock.lock();
    try {
      int count = Math.min(length, CAPACITY - size);
      for (int i = 0; i < count; i++) {
        add((short) (bytes[offset + i] & 0xFF));
      }
      return count;
    } finally {
      lock.unlock();
    }
  }

  /// Adds one item, if there is room.
  boolean offer(short item) {
    lock.lock();
    try {
      if (size == CAPACITY) {
        return false;
      }
      add(item);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /// Waits until there is room.
  void awaitRoom() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (size == CAPACITY) {
        room.await();
      }
    } finally {
      lock.unlock();
    }
  }

  private void add(short item) {
    ring[head + size & CAPACITY - 1] = item;
    size++;
  }

  /// The next item, or -1.
  int poll() {
    lock.lock();
    try {
      if (size == 0) {
        return -1;
      }
      int item = ring[head];
      head = head + 1 & CAPACITY - 1;
      size--;
      room.signal();
      return item;
    } finally {
      lock.unlock();
    }
  }

  boolean isEmpty() {
    lock.lock();
    try {
      return size == 0;
    } finally {
      lock.unlock();
    }
  }

  short[] contents() {
    lock.lock();
    try {
      var items = new short[size];
      for (int i = 0; i < size; i++) {
        items[i] = ring[head + i & CAPACITY - 1];
      }
      return items;
    } finally {
      lock.unlock();
    }
  }

  /// Replaces the contents by at most {@link #CAPACITY} items.
  void setContents(short[] items) {
    lock.lock();
    try {
      head = 0;
      size = Math.min(items.length, CAPACITY);
      System.arraycopy(items, 0, ring, 0, size);
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
