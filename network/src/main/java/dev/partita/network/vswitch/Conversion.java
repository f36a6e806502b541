package dev.partita.network.vswitch;

import dev.partita.network.Checksums;
import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.Segmenter;
import java.nio.ByteBuffer;
import java.util.concurrent.ArrayBlockingQueue;

/// Gives an endpoint what it can take: large segments cut, checksums completed. Thread-safe.
final class Conversion {
  /// Room for the largest frame with a tag before it.
  private static final int SCRATCH = Frame.MAX_LENGTH + 64;

  /// As many as threads usually deliver at once; more are made when needed and not kept.
  private static final int KEPT = 4;

  /// What became of a frame.
  enum Result {
    TAKEN,
    REFUSED,
    TOO_LONG
  }

  private record Scratch(ByteBuffer bytes, Frame frame) {}

  private final ArrayBlockingQueue<Scratch> spare = new ArrayBlockingQueue<>(KEPT);

  /// Delivers. When the endpoint takes only the first of the cut segments, the rest is lost, as on
  /// any wire; otherwise the sender would send again what has arrived.
  Result deliver(Frame frame, Endpoint endpoint) {
    var offloads = endpoint.offloads();
    int most = offloads.mtu() + Frame.HEADER;
    if (frame.segmentSize() == 0) {
      if (frame.length() > most) {
        return Result.TOO_LONG;
      }
      if (!offloads.checksum()) {
        Checksums.complete(frame);
      }
      return endpoint.deliver(frame) ? Result.TAKEN : Result.REFUSED;
    }
    var headers = Headers.of(frame);
    int tcp = headers.transport();
    int overhead = tcp + (frame.u8(tcp + 12) >> 4 << 2);
    int segment = Math.min(frame.segmentSize(), frame.length() - overhead);
    if (overhead + segment > most) {
      return Result.TOO_LONG;
    }
    if (frame.length() <= offloads.largestSegment()) {
      if (!offloads.checksum()) {
        Checksums.complete(frame);
      }
      return endpoint.deliver(frame) ? Result.TAKEN : Result.REFUSED;
    }
    var scratch = spare.poll();
    if (scratch == null) {
      scratch = new Scratch(ByteBuffer.allocateDirect(SCRATCH), new Frame());
    }
    try {
      var taken = new int[1];
      boolean checksum = offloads.checksum();
      Segmenter.cut(
          headers,
          scratch.bytes,
          scratch.frame,
          part -> {
            if (!checksum) {
              Checksums.complete(part);
            }
            if (!endpoint.deliver(part)) {
              return false;
            }
            taken[0]++;
            return true;
          });
      return taken[0] > 0 ? Result.TAKEN : Result.REFUSED;
    } finally {
      spare.offer(scratch);
    }
  }
}
