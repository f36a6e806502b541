package dev.partita.synthetic.network;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Which sections of the receive buffer are free, which lie in packets that a queue's guest has not
/// given back. Those of one packet are a chain, and the first one's number is the packet's. Not
/// thread-safe.
final class Sections {
  private static final int END = -1;

  private final int[] free;
  private int freeCount;

  /// The next of the chain.
  private final int[] next;

  /// The queue's number plus one, of the first of a chain that the guest has; else 0.
  private final byte[] head;

  Sections(int count) {
    free = new int[count];
    next = new int[count];
    head = new byte[count];
    for (int i = 0; i < count; i++) {
      free[i] = count - 1 - i;
    }
    freeCount = count;
  }

  /// All sections.
  int count() {
    return free.length;
  }

  /// Free sections.
  int free() {
    return freeCount;
  }

  /// Takes a free one. There is one.
  int take() {
    return free[--freeCount];
  }

  /// Gives one that was taken back.
  void release(int section) {
    free[freeCount++] = section;
  }

  /// Gives sections that were taken to a queue's guest.
  ///
  /// @param queue 0 to 63
  void lend(int[] sections, int count, int queue) {
    for (int i = 0; i < count; i++) {
      next[sections[i]] = i + 1 < count ? sections[i + 1] : END;
    }
    head[sections[0]] = (byte) (queue + 1);
  }

  /// The guest gives a packet's back.
  ///
  /// @param first the packet's number, whatever the guest says it is
  /// @return how many are free again: none if the queue has no such packet
  int giveBack(long first, int queue) {
    if (first < 0 || first >= head.length || head[(int) first] != queue + 1) {
      return 0;
    }
    head[(int) first] = 0;
    int count = 0;
    for (int section = (int) first; section != END; section = next[section]) {
      release(section);
      count++;
    }
    return count;
  }

  /// A queue is gone.
  void giveAllBack(int queue) {
    for (int i = 0; i < head.length; i++) {
      giveBack(i, queue);
    }
  }

  /// The packets that a queue's guest has, by their sections.
  List<List<Integer>> lent(int queue) {
    var packets = new ArrayList<List<Integer>>();
    for (int i = 0; i < head.length; i++) {
      if (head[i] == queue + 1) {
        var packet = new ArrayList<Integer>();
        for (int section = i; section != END; section = next[section]) {
          packet.add(section);
        }
        packets.add(packet);
      }
    }
    return packets;
  }

  /// Takes certain ones.
  ///
  /// @throws IllegalArgumentException if one is not free
  void take(List<Integer> sections) {
    for (int section : sections) {
      int at = 0;
      while (at < freeCount && free[at] != section) {
        at++;
      }
      if (at == freeCount) {
        throw new IllegalArgumentException("receive section %d is taken".formatted(section));
      }
      System.arraycopy(free, at + 1, free, at, freeCount - at - 1);
      freeCount--;
    }
  }

  @Override
  public String toString() {
    return "%d of %d free, lent %s".formatted(freeCount, free.length, Arrays.toString(head));
  }
}
