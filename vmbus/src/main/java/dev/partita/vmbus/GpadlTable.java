package dev.partita.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/// The memory that a guest shares with the channels of a bus: GPADLs, those that have come whole
/// ({@link OfferedChannel#gpadls}) and those that are on their way, and what they cost the host. A
/// GPADL comes in a header and as many bodies as its pages need; bodies name no channel, so that
/// the handles of GPADLs on their way are unique on the bus. Not thread-safe.
final class GpadlTable {
  /// Pages in all GPADLs together: 1 GiB of buffers. The unit of cost is a page number; a range
  /// costs another one.
  static final int MOST_PAGES = 1 << 18;

  /// What a GPADL costs besides that.
  private static final int COST = 8;

  private final LongPredicate isRam;
  private final Map<Integer, Partial> partials = new LinkedHashMap<>();
  private int cost;

  /// @param isRam whether a page frame number is RAM
  GpadlTable(LongPredicate isRam) {
    this.isRam = isRam;
  }

  private record Partial(OfferedChannel channel, int id, int rangeCount, ByteBuffer data) {
    static int cost(int size) {
      return COST + size / Long.BYTES;
    }

    int cost() {
      return cost(data.capacity());
    }
  }

  /// What has become of a GPADL: the answer that is due.
  record Created(OfferedChannel channel, int id, int status) {}

  private static int cost(Gpadl gpadl) {
    return COST + gpadl.ranges().size() + gpadl.pageCount();
  }

  /// Takes a header.
  ///
  /// @param size bytes of all ranges, 0 to 65535
  /// @param rangeCount 0 to 65535
  /// @param pages the ranges' first bytes
  /// @return null while more has to come
  @Nullable Created begin(
      OfferedChannel channel, int id, int size, int rangeCount, ByteBuffer pages) {
    if (channel.gpadls.containsKey(id)
        || partials.containsKey(id)
        || rangeCount == 0
        || size < GpaRange.HEADER_SIZE) {
      return new Created(channel, id, VmbusMessages.STATUS_UNSUCCESSFUL);
    }
    if (cost + Partial.cost(size) > MOST_PAGES) {
      return new Created(channel, id, VmbusMessages.STATUS_INSUFFICIENT_RESOURCES);
    }
    put(new Partial(channel, id, rangeCount, allocate(size)));
    return add(id, pages);
  }

  private static ByteBuffer allocate(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private void put(Partial partial) {
    partials.put(partial.id, partial);
    cost += partial.cost();
  }

  /// Whether bodies of a GPADL are awaited.
  boolean isPartial(int id) {
    return partials.containsKey(id);
  }

  /// Takes further bytes of a GPADL on its way; those beyond its size are ignored.
  ///
  /// @return null while more has to come, or if there is no such one
  @Nullable Created add(int id, ByteBuffer pages) {
    var partial = partials.get(id);
    if (partial == null) {
      return null;
    }
    int length = Math.min(pages.remaining(), partial.data.remaining());
    partial.data.put(pages.slice(pages.position(), length));
    if (partial.data.hasRemaining()) {
      return null;
    }
    remove(partial);
    var ranges = GpaRange.parse(partial.data.flip(), partial.rangeCount, isRam);
    if (ranges.isEmpty()) {
      return new Created(partial.channel, id, VmbusMessages.STATUS_UNSUCCESSFUL);
    }
    put(partial.channel, new Gpadl(id, ranges.get()));
    return new Created(partial.channel, id, VmbusMessages.STATUS_SUCCESS);
  }

  private void remove(Partial partial) {
    partials.remove(partial.id);
    cost -= partial.cost();
  }

  private void put(OfferedChannel channel, Gpadl gpadl) {
    channel.gpadls.put(gpadl.id(), gpadl);
    cost += cost(gpadl);
  }

  /// Gives a GPADL on its way up.
  ///
  /// @return null if there is no such one
  @Nullable Created refuse(int id) {
    var partial = partials.get(id);
    if (partial == null) {
      return null;
    }
    remove(partial);
    return new Created(partial.channel, id, VmbusMessages.STATUS_UNSUCCESSFUL);
  }

  /// Forgets a whole GPADL.
  ///
  /// @return whether there was such one
  boolean remove(OfferedChannel channel, int id) {
    var gpadl = channel.gpadls.remove(id);
    if (gpadl == null) {
      return false;
    }
    cost -= cost(gpadl);
    return true;
  }

  /// Forgets all GPADLs of a channel.
  ///
  /// @return of those that were on their way
  List<Created> clear(OfferedChannel channel) {
    for (var gpadl : channel.gpadls.values()) {
      cost -= cost(gpadl);
    }
    channel.gpadls.clear();
    var refused = new ArrayList<Created>();
    for (var partial : List.copyOf(partials.values())) {
      if (partial.channel == channel) {
        remove(partial);
        refused.add(new Created(channel, partial.id, VmbusMessages.STATUS_UNSUCCESSFUL));
      }
    }
    return refused;
  }

  // --- saved state ---

  /// Those on their way.
  List<VmbusServerState.PartialGpadl> partials() {
    var saved = new ArrayList<VmbusServerState.PartialGpadl>();
    for (var partial : partials.values()) {
      var data = new byte[partial.data.position()];
      partial.data.get(0, data);
      saved.add(
          new VmbusServerState.PartialGpadl(
              partial.id,
              partial.channel.relid,
              partial.rangeCount,
              partial.data.capacity(),
              data));
    }
    return saved;
  }

  /// @throws IllegalArgumentException if it is not all RAM
  void restore(OfferedChannel channel, Gpadl gpadl) {
    for (var range : gpadl.ranges()) {
      for (long page : range.pages()) {
        if (!isRam.test(page)) {
          throw new IllegalArgumentException("saved GPADL page 0x%x is not RAM".formatted(page));
        }
      }
    }
    put(channel, gpadl);
  }

  /// @throws IllegalArgumentException if it is impossible
  void restore(@Nullable OfferedChannel channel, VmbusServerState.PartialGpadl saved) {
    if (channel == null || saved.data().length >= saved.size() || saved.size() > 0xFFFF) {
      throw new IllegalArgumentException("saved partial GPADL %d".formatted(saved.id()));
    }
    var data = allocate(saved.size()).put(saved.data());
    put(new Partial(channel, saved.id(), saved.rangeCount(), data));
  }
}
