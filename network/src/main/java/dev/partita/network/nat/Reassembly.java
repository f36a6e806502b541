package dev.partita.network.nat;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import dev.partita.network.Segmenter;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.LinkedHashMap;
import org.jspecify.annotations.Nullable;

/// Joins fragments (RFC 791, 3.2; RFC 8200, 4.5). Bounded in datagrams under way, their size and
/// their age. A datagram with fragments that overlap is dropped as a whole (RFC 5722; for IPv4 as
/// well, for nobody honest sends such). Not thread-safe.
final class Reassembly {
  private static final long SECOND = 1_000_000_000L;

  /// RFC 8200, 4.5 says 60 s; on one link much less does.
  static final long PATIENCE = 15 * SECOND;

  static final int MOST = 64;

  private record Key(IpAddress from, IpAddress to, int id, int protocol) {}

  private static final class Datagram {
    private final ByteBuffer bytes = ByteBuffer.allocate(Frame.MAX_LENGTH);

    /// In units of eight octets.
    private final BitSet present = new BitSet();

    /// Where the payload begins; 0 before the first fragment.
    private int begin;

    private boolean first;
    private int total = -1;
    private int highest;
    private long until;
  }

  private final LinkedHashMap<Key, Datagram> datagrams = new LinkedHashMap<>();

  /// Takes a fragment.
  ///
  /// @return the whole packet's frame if this was the last that was missing, else nothing
  @Nullable Frame add(Headers headers, long now) {
    var frame = headers.frame();
    boolean v4 = headers.kind() == Headers.Kind.IPV4;
    // The unfragmentable part: the fixed header, and of IPv6 what comes before the fragment header.
    int fixed = v4 ? headers.transport() : headers.fragmentHeader();
    int begin = v4 ? headers.transport() : headers.fragmentHeader() + 8;
    int length = headers.packetEnd() - begin;
    int offset = headers.fragmentOffset();
    if (length <= 0
        || headers.moreFragments() && length % 8 != 0
        || fixed + offset + length > Frame.MAX_LENGTH) {
      return null;
    }
    int id = v4 ? frame.u16(Frame.HEADER + 4) : frame.i32(headers.fragmentHeader() + 4);
    // Of IPv6 the protocol is not part of it: the first header after differs where it is an
    // extension.
    var key = new Key(headers.source(), headers.destination(), id, v4 ? headers.protocol() : 0);
    var datagram = datagrams.get(key);
    if (datagram == null) {
      if (datagrams.size() >= MOST) {
        datagrams.pollFirstEntry();
      }
      datagram = new Datagram();
      datagram.until = now + PATIENCE;
      datagrams.put(key, datagram);
    }
    int firstUnit = offset / 8;
    int endUnit = (offset + length + 7) / 8;
    int end = offset + length;
    boolean overlaps =
        datagram.present.nextSetBit(firstUnit) >= 0
            && datagram.present.nextSetBit(firstUnit) < endUnit;
    boolean contradicts =
        datagram.total >= 0 && end > datagram.total
            || !headers.moreFragments() && (datagram.total >= 0 || end < datagram.highest);
    if (overlaps || contradicts) {
      datagrams.remove(key);
      return null;
    }
    datagram.present.set(firstUnit, endUnit);
    datagram.highest = Math.max(datagram.highest, end);
    if (!headers.moreFragments()) {
      datagram.total = end;
    }
    datagram.first |= offset == 0;
    return store(key, datagram, headers, fixed, begin, offset, length, v4);
  }

  private @Nullable Frame store(
      Key key,
      Datagram datagram,
      Headers headers,
      int fixed,
      int begin,
      int offset,
      int length,
      boolean v4) {
    var frame = headers.frame();
    var bytes = datagram.bytes;
    // The first to come decides where the payload lies; headers of other lengths contradict it. (Of
    // IPv4, options that are only in the first fragment are so refused: nobody uses them.)
    if (datagram.begin == 0) {
      datagram.begin = fixed;
    }
    int header = datagram.begin;
    if (fixed != header || header + offset + length > bytes.capacity()) {
      datagrams.remove(key);
      return null;
    }
    bytes.put(header + offset, frame.bytes(), frame.start() + begin, length);
    if (offset == 0) {
      bytes.put(0, frame.bytes(), frame.start(), fixed);
      if (!v4) {
        putNextHeader(bytes, headers);
      }
    }
    if (datagram.total < 0
        || datagram.present.nextClearBit(0) < (datagram.total + 7) / 8
        || !datagram.first) {
      return null;
    }
    datagrams.remove(key);
    var whole = new Frame().set(bytes, 0, header + datagram.total);
    if (v4) {
      whole.put16(Frame.HEADER + 2, header - Frame.HEADER + datagram.total);
      whole.put16(Frame.HEADER + 6, 0);
      Segmenter.writeHeaderChecksum(whole);
    } else {
      whole.put16(Frame.HEADER + 4, header - Frame.HEADER - 40 + datagram.total);
    }
    return whole;
  }

  /// The header before the fragment header now names what came after it.
  private static void putNextHeader(ByteBuffer bytes, Headers headers) {
    var frame = headers.frame();
    byte next = (byte) frame.u8(headers.fragmentHeader());
    int at = Frame.HEADER + 40;
    if (at == headers.fragmentHeader()) {
      bytes.put(Frame.HEADER + 6, next);
      return;
    }
    while (true) {
      int following = at + (frame.u8(at + 1) + 1) * 8;
      if (following >= headers.fragmentHeader()) {
        bytes.put(at, next);
        return;
      }
      at = following;
    }
  }

  /// Forgets what is too old.
  void tick(long now) {
    datagrams.values().removeIf(d -> d.until - now <= 0);
  }

  int size() {
    return datagrams.size();
  }
}
