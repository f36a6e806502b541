package dev.partita.network.tcp;

/// Ranges of sequence numbers, apart from each other and in order; bounded. Sequence numbers are
/// compared modulo 2^32, so all must lie within 2^31 of each other.
final class SequenceRanges {
  private final int[] begins;
  private final int[] ends;
  private int size;

  SequenceRanges(int bound) {
    begins = new int[bound];
    ends = new int[bound];
  }

  int size() {
    return size;
  }

  boolean isEmpty() {
    return size == 0;
  }

  int begin(int i) {
    return begins[i];
  }

  int end(int i) {
    return ends[i];
  }

  /// Adds a range, joined with those that it touches.
  ///
  /// @return the index of the range that it is now part of, or -1 if there was no place
  int add(int begin, int end) {
    int first = 0;
    while (first < size && ends[first] - begin < 0) {
      first++;
    }
    int after = first;
    while (after < size && begins[after] - end <= 0) {
      after++;
    }
    if (after == first) {
      if (size == begins.length) {
        return -1;
      }
      System.arraycopy(begins, first, begins, first + 1, size - first);
      System.arraycopy(ends, first, ends, first + 1, size - first);
      begins[first] = begin;
      ends[first] = end;
      size++;
      return first;
    }
    if (begins[first] - begin > 0) {
      begins[first] = begin;
    }
    ends[first] = ends[after - 1] - end > 0 ? ends[after - 1] : end;
    remove(first + 1, after);
    return first;
  }

  private void remove(int from, int to) {
    System.arraycopy(begins, to, begins, from, size - to);
    System.arraycopy(ends, to, ends, from, size - to);
    size -= to - from;
  }

  /// Forgets what lies before a sequence number.
  void removeBefore(int sequence) {
    int gone = 0;
    while (gone < size && ends[gone] - sequence <= 0) {
      gone++;
    }
    remove(0, gone);
    if (size > 0 && begins[0] - sequence < 0) {
      begins[0] = sequence;
    }
  }

  void clear() {
    size = 0;
  }

  /// Octets in all ranges.
  int total() {
    int total = 0;
    for (int i = 0; i < size; i++) {
      total += ends[i] - begins[i];
    }
    return total;
  }

  /// The end of the last range; there is one.
  int last() {
    return ends[size - 1];
  }

  /// The first sequence number from one on that is in no range.
  int gapFrom(int sequence) {
    int at = sequence;
    for (int i = 0; i < size; i++) {
      if (begins[i] - at <= 0 && ends[i] - at > 0) {
        at = ends[i];
      }
    }
    return at;
  }

  /// Where the next range after a sequence number begins, or `otherwise`.
  int nextBegin(int sequence, int otherwise) {
    for (int i = 0; i < size; i++) {
      if (begins[i] - sequence > 0) {
        return begins[i];
      }
    }
    return otherwise;
  }
}
