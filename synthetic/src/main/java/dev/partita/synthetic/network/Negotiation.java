package dev.partita.synthetic.network;

import dev.partita.network.Frame;
import java.nio.ByteBuffer;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/// What a driver agrees on with the NIC before anything else: the protocol's version, what the
/// driver can, and its buffers. A state machine without side effects; not thread-safe.
final class Negotiation {
  /// Bytes of a section of the send buffer, as Hyper-V's.
  static final int SEND_SECTION = 6144;

  /// Octets of a frame if the driver says nothing, and at least.
  private static final int USUAL_FRAME = Frame.HEADER + 1500;

  private static final int NOT_SUPPORTED = 0xC000_00BB;

  private final int largestFrame;
  private final int queues;

  private int version;
  private int ndis = 0x5_0001;
  private int frameSize = USUAL_FRAME;
  private long capabilities;
  private NicState.@Nullable Buffer receive;
  private NicState.@Nullable Buffer send;

  /// What is to be done.
  sealed interface Effect {
    /// Nothing but the answer.
    record None() implements Effect {}

    /// The guest's receive or send buffer is there, or is gone.
    record Buffers() implements Effect {}

    /// Further channels, as many.
    record SubChannels(int count) implements Effect {}
  }

  /// @param answer for a guest that waits for one
  record Result(byte[] answer, Effect effect) {}

  private static final Effect NONE = new Effect.None();

  Negotiation(NicSettings settings) {
    largestFrame = Frame.HEADER + settings.mtu();
    queues = settings.queues();
  }

  int version() {
    return version;
  }

  int ndis() {
    return ndis;
  }

  /// Octets of the largest frame that the guest takes, without a tag.
  int frameSize() {
    return frameSize;
  }

  long capabilities() {
    return capabilities;
  }

  boolean isCapableOf(int capability) {
    return (capabilities & capability) != 0;
  }

  NicState.@Nullable Buffer receive() {
    return receive;
  }

  NicState.@Nullable Buffer send() {
    return send;
  }

  void restore(NicState.Driver saved) {
    version = saved.version();
    ndis = saved.ndis();
    frameSize = Math.clamp(saved.frameSize(), USUAL_FRAME, largestFrame);
    capabilities = saved.capabilities();
    receive = saved.receive();
    send = saved.send();
  }

  /// Takes a message.
  ///
  /// @param message a copy, little-endian, from 0 to its limit
  /// @param bufferSize bytes of a buffer by its GPADL, or 0 if there is none that can be one
  Result handle(int type, ByteBuffer message, IntFunction<Integer> bufferSize) {
    int length = message.limit();
    switch (type) {
      case NvspLayout.INIT -> {
        return length < 12 ? nothing() : initialize(message.getInt(4), message.getInt(8));
      }
      case NvspLayout.SEND_NDIS_VERSION -> {
        if (version != 0 && length >= 12) {
          ndis = message.getInt(4) << 16 | message.getInt(8) & 0xFFFF;
        }
        return nothing();
      }
      case NvspLayout.SEND_NDIS_CONFIG -> {
        if (version >= NvspLayout.VERSION_2 && length >= NvspLayout.CONFIG_SIZE) {
          // Less than what everybody sends is of no use.
          int frame = Math.max(message.getInt(NvspLayout.CONFIG_MTU), USUAL_FRAME);
          frameSize = Math.min(frame, largestFrame);
          capabilities = message.getLong(NvspLayout.CONFIG_CAPABILITIES);
        }
        return nothing();
      }
      case NvspLayout.SEND_RECEIVE_BUFFER -> {
        return takeReceiveBuffer(message, bufferSize);
      }
      case NvspLayout.SEND_SEND_BUFFER -> {
        return takeSendBuffer(message, bufferSize);
      }
      case NvspLayout.REVOKE_RECEIVE_BUFFER -> {
        receive = null;
        return buffers(new byte[0]);
      }
      case NvspLayout.REVOKE_SEND_BUFFER -> {
        send = null;
        return buffers(new byte[0]);
      }
      case NvspLayout.SUB_CHANNEL -> {
        return subChannels(message);
      }
      case NvspLayout.OID_QUERY_EX -> {
        return answer(NvspLayout.OID_QUERY_EX_COMPLETE, NOT_SUPPORTED, 0);
      }
      case NvspLayout.PACKET_DIRECT -> {
        int operation = length < 8 ? 0 : message.getInt(4);
        return answer(NvspLayout.PACKET_DIRECT, operation, NvspLayout.FAIL);
      }
      // SWITCH_DATA_PATH is answered by an empty completion: there is no virtual function to go
      // over to, and the synthetic path stays open in any case. So are messages of chimneys.
      default -> {
        return nothing();
      }
    }
  }

  private static Result nothing() {
    return new Result(new byte[0], NONE);
  }

  private Result answer(int type, int... words) {
    return new Result(NvspLayout.message(version, type, words), NONE);
  }

  private static Result buffers(byte[] answer) {
    return new Result(answer, new Effect.Buffers());
  }

  private Result initialize(int least, int most) {
    int chosen = 0;
    for (int known :
        new int[] {
          NvspLayout.VERSION_1,
          NvspLayout.VERSION_2,
          NvspLayout.VERSION_4,
          NvspLayout.VERSION_5,
          NvspLayout.VERSION_6,
          NvspLayout.VERSION_6_1
        }) {
      if (Integer.compareUnsigned(known, least) >= 0 && Integer.compareUnsigned(known, most) <= 0) {
        chosen = known;
      }
    }
    int status = NvspLayout.SUCCESS;
    if (version != 0) {
      status = NvspLayout.FAIL;
    } else if (chosen == 0) {
      status =
          Integer.compareUnsigned(least, NvspLayout.VERSION_6_1) > 0
              ? NvspLayout.PROTOCOL_TOO_NEW
              : NvspLayout.PROTOCOL_TOO_OLD;
    } else {
      version = chosen;
    }
    // Of every version as long as of the first.
    return new Result(
        NvspLayout.message(
            NvspLayout.VERSION_1, NvspLayout.INIT_COMPLETE, chosen, LONGEST_CHAIN, status),
        NONE);
  }

  /// Pieces of memory that a packet may consist of.
  private static final int LONGEST_CHAIN = 34;

  private Result takeReceiveBuffer(ByteBuffer message, IntFunction<Integer> bufferSize) {
    int status = NvspLayout.FAIL;
    int sectionSize = Receiver.sectionSize(frameSize);
    int count = 0;
    if (version != 0 && receive == null && message.limit() >= NvspLayout.BUFFER_SIZE) {
      int gpadl = message.getInt(NvspLayout.BUFFER_GPADL);
      count = Math.min(bufferSize.apply(gpadl) / sectionSize, Receiver.MOST_SECTIONS);
      if (count >= 2) {
        int id = message.getShort(NvspLayout.BUFFER_ID) & 0xFFFF;
        receive = new NicState.Buffer(gpadl, id, sectionSize, count);
        status = NvspLayout.SUCCESS;
      }
    }
    boolean taken = status == NvspLayout.SUCCESS;
    var answer =
        NvspLayout.message(
            version,
            NvspLayout.SEND_RECEIVE_BUFFER_COMPLETE,
            status,
            taken ? 1 : 0,
            0,
            taken ? sectionSize : 0,
            taken ? count : 0,
            taken ? sectionSize * count : 0);
    return taken ? buffers(answer) : new Result(answer, NONE);
  }

  private Result takeSendBuffer(ByteBuffer message, IntFunction<Integer> bufferSize) {
    int status = NvspLayout.FAIL;
    if (version != 0 && send == null && message.limit() >= NvspLayout.BUFFER_SIZE) {
      int gpadl = message.getInt(NvspLayout.BUFFER_GPADL);
      int count = bufferSize.apply(gpadl) / SEND_SECTION;
      if (count > 0) {
        int id = message.getShort(NvspLayout.BUFFER_ID) & 0xFFFF;
        send = new NicState.Buffer(gpadl, id, SEND_SECTION, count);
        status = NvspLayout.SUCCESS;
      }
    }
    boolean taken = status == NvspLayout.SUCCESS;
    var answer =
        NvspLayout.message(
            version, NvspLayout.SEND_SEND_BUFFER_COMPLETE, status, taken ? SEND_SECTION : 0);
    return taken ? buffers(answer) : new Result(answer, NONE);
  }

  private Result subChannels(ByteBuffer message) {
    int count = 0;
    boolean allowed =
        version >= NvspLayout.VERSION_5
            && message.limit() >= NvspLayout.SUB_CHANNEL_SIZE
            && message.getInt(NvspLayout.SUB_CHANNEL_OPERATION) == NvspLayout.ALLOCATE;
    if (allowed) {
      int wanted = message.getInt(NvspLayout.SUB_CHANNEL_COUNT);
      count = Math.clamp(Integer.toUnsignedLong(wanted), 0, queues - 1);
    }
    var answer =
        NvspLayout.message(
            version, NvspLayout.SUB_CHANNEL, allowed ? NvspLayout.SUCCESS : NvspLayout.FAIL, count);
    return new Result(answer, count > 0 ? new Effect.SubChannels(count) : NONE);
  }

  /// The guest takes a buffer's memory back.
  ///
  /// @return whether it was one of these
  boolean forget(int gpadl) {
    boolean known = false;
    if (receive != null && receive.gpadl() == gpadl) {
      receive = null;
      known = true;
    }
    if (send != null && send.gpadl() == gpadl) {
      send = null;
      known = true;
    }
    return known;
  }
}
