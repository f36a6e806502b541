package dev.partita.network.tcp;

import java.nio.ByteBuffer;

/// Octets in the order of a stream, taken off at the front. It grows as needed up to a limit;
/// beyond its first few KiB it takes from the budget. Octets may be stored beyond the end before
/// those in between have come. Not thread-safe.
public final class ByteRing {
  /// What every ring may have, whatever is left in the budget: without it, connections that wait
  /// for each other could all stop.
  static final int FREE_CAPACITY = 4096;

  private static final byte[] NOTHING = {};

  private final MemoryBudget budget;
  private final int limit;
  private byte[] data = NOTHING;
  private int head;
  private int count;

  /// @param limit octets, a power of two of at least 4096
  public ByteRing(MemoryBudget budget, int limit) {
    if (Integer.bitCount(limit) != 1 || limit < FREE_CAPACITY) {
      throw new IllegalArgumentException("not a power of two from 4096: " + limit);
    }
    this.budget = budget;
    this.limit = limit;
  }

  /// Octets in order.
  public int count() {
    return count;
  }

  /// Octets of the limit.
  public int limit() {
    return limit;
  }

  /// What could be held if it was needed now.
  int reachable() {
    if (data.length >= limit) {
      return limit;
    }
    long more = budget.left() + Math.max(data.length, FREE_CAPACITY);
    return more >= limit ? limit : Integer.highestOneBit((int) more);
  }

  /// Makes room for octets in total, counted from the front.
  ///
  /// @return the room that there is now, perhaps less than asked
  public int reserve(int octets) {
    if (octets > data.length && data.length < limit) {
      int size = Math.max(FREE_CAPACITY, Integer.highestOneBit(Math.min(octets, limit) * 2 - 1));
      while (size > data.length && !budget.take(charge(size) - charge(data.length))) {
        size >>= 1;
      }
      if (size > data.length) {
        var larger = new byte[size];
        // What lies beyond the end is kept too: it waits for what is missing before it.
        int first = data.length - head;
        System.arraycopy(data, head, larger, 0, first);
        System.arraycopy(data, 0, larger, first, head);
        data = larger;
        head = 0;
      }
    }
    return data.length;
  }

  private static int charge(int capacity) {
    return Math.max(0, capacity - FREE_CAPACITY);
  }

  /// Stores octets at a distance from the front; room was reserved.
  public void write(int offset, ByteBuffer from, int at, int length) {
    int position = (head + offset) & (data.length - 1);
    int first = Math.min(length, data.length - position);
    from.get(at, data, position, first);
    from.get(at + first, data, 0, length - first);
  }

  /// Octets that were stored beyond the end now are in order.
  public void extend(int octets) {
    count += octets;
  }

  /// Appends as much as there is room for.
  ///
  /// @return octets that were taken
  public int append(ByteBuffer from, int at, int length) {
    int taken = Math.min(length, reserve(count + length) - count);
    write(count, from, at, taken);
    count += taken;
    return taken;
  }

  /// Copies octets that stay.
  public void read(int offset, ByteBuffer into, int at, int length) {
    int position = (head + offset) & (data.length - 1);
    int first = Math.min(length, data.length - position);
    into.put(at, data, position, first);
    into.put(at + first, data, 0, length - first);
  }

  /// The octets from the front that lie in one piece.
  public ByteBuffer front() {
    return ByteBuffer.wrap(data, head, Math.min(count, data.length - head));
  }

  /// Takes octets off at the front.
  public void drop(int octets) {
    count -= octets;
    head = data.length == 0 ? 0 : (head + octets) & (data.length - 1);
  }

  /// Gives the memory back. What was stored is lost.
  public void release() {
    budget.give(charge(data.length));
    data = NOTHING;
    head = 0;
    count = 0;
  }

  /// Octets of memory that are held.
  public int capacity() {
    return data.length;
  }
}
