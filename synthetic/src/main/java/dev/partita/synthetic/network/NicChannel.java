package dev.partita.synthetic.network;

import dev.partita.network.Port;
import dev.partita.synthetic.network.NicState.Completion;
import dev.partita.synthetic.network.NicState.Held;
import dev.partita.vmbus.ChannelHandler;
import dev.partita.vmbus.Packet;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/// One channel of a NIC, seen from its own thread: packets come in and go to the port; receive
/// sections come back.
///
/// What a guest can make it keep is bounded. Frames that the port's bandwidth holds up stay in the
/// guest's memory; their packets wait here, {@link #MOST_HELD} at most, and what comes beyond that
/// is lost, as on any wire. Completions that the guest does not fetch are kept up to {@link
/// #MOST_COMPLETIONS}; beyond that the guest is broken, and the channel takes nothing more.
final class NicChannel implements ChannelHandler {
  /// Packets that wait for bandwidth, and bytes of them.
  static final int MOST_HELD = 1024;

  private static final int MOST_HELD_BYTES = 1 << 20;

  /// Completions that wait for room in the ring: more than sections of Linux' largest send buffer.
  static final int MOST_COMPLETIONS = 8192;

  /// What a held packet costs besides its bytes.
  private static final int HELD_COST = 64;

  private static final byte[] NOTHING = {};

  private static final System.Logger LOG = System.getLogger(NicChannel.class.getName());

  private final SyntheticNic nic;
  private final Line line;
  private final int index;
  private final NicCounters counters;
  private final Completions completions;
  private final ArrayDeque<Held> held;
  private final AtomicBoolean resumeDue = new AtomicBoolean();
  private @Nullable TransmitBuffer transmit;
  private int heldBytes;
  private boolean batchDue;
  private boolean broken;

  /// @param savedPackets what it had to send when the partition was saved
  NicChannel(
      SyntheticNic nic,
      Line line,
      NicCounters counters,
      Completions completions,
      List<Held> savedPackets) {
    this.nic = nic;
    this.line = line;
    this.index = line.subChannel();
    this.counters = counters;
    this.completions = completions;
    this.held = new ArrayDeque<>(savedPackets);
    for (var each : held) {
      heldBytes += cost(each.packet());
    }
    if (line.restored()) {
      line.execute(this::goOn);
    }
  }

  Line line() {
    return line;
  }

  // --- packets ---

  @Override
  public void received(Packet packet) {
    if (broken) {
      return;
    }
    switch (packet.type()) {
      case Packet.COMPLETION -> {
        if (nic.receiver().completed(index, packet.transactionId())) {
          nic.ready();
        }
      }
      case Packet.IN_BAND, Packet.GPA_DIRECT -> {
        var message = packet.reader();
        int type = message.remaining() < Integer.BYTES ? 0 : message.getInt(0);
        if (type == NvspLayout.SEND_RNDIS_PACKET) {
          takeRndis(packet, message);
        } else if (index == 0) {
          nic.negotiate(this, packet, type, message);
        } else {
          answer(packet, NOTHING);
        }
      }
      default -> {}
    }
  }

  private void takeRndis(Packet packet, ByteBuffer message) {
    if (message.limit() < NvspLayout.PACKET_SIZE || !nic.takesMessages()) {
      complete(packet, NvspLayout.FAIL);
      return;
    }
    if (message.getInt(NvspLayout.CHANNEL_TYPE) == NvspLayout.CONTROL_CHANNEL) {
      control(packet, message);
    } else if (held.isEmpty()) {
      send(packet, 0);
    } else {
      hold(packet, 0);
    }
  }

  private void control(Packet packet, ByteBuffer message) {
    var buffer = transmitBuffer();
    if (index != 0 || !fill(buffer, packet, message) || buffer.length() > Adapter.LONGEST_REQUEST) {
      complete(packet, NvspLayout.INVALID_RNDIS_PACKET);
      return;
    }
    // Before what the message is answered with.
    answer(packet, completion(NvspLayout.SUCCESS));
    counters.controls.increment();
    nic.control(buffer.message());
  }

  private TransmitBuffer transmitBuffer() {
    var buffer = transmit;
    if (buffer == null) {
      buffer = nic.transmitBuffer(index);
      transmit = buffer;
    }
    return buffer;
  }

  /// Copies what a packet refers to.
  private boolean fill(TransmitBuffer buffer, Packet packet, ByteBuffer message) {
    buffer.clear();
    int section = message.getInt(NvspLayout.SECTION_INDEX);
    if (section != NvspLayout.NO_SECTION
        && !nic.copySection(buffer, section, message.getInt(NvspLayout.SECTION_SIZE))) {
      return false;
    }
    return packet.type() != Packet.GPA_DIRECT || buffer.add(nic.ram(), packet.extension());
  }

  // --- sending ---

  /// Sends a packet's frames.
  ///
  /// @param done octets that are on their way already
  /// @return false if the port's bandwidth is used up; the packet is held
  private boolean send(Packet packet, int done) {
    var buffer = transmitBuffer();
    if (!fill(buffer, packet, packet.reader())) {
      counters.sendMalformed.increment();
      complete(packet, NvspLayout.INVALID_RNDIS_PACKET);
      return true;
    }
    buffer.position(done);
    var port = nic.port();
    int status = NvspLayout.SUCCESS;
    for (boolean more = true; more; ) {
      int from = buffer.position();
      switch (buffer.next()) {
        case FRAME -> {
          var frame = buffer.frame();
          long to = frame.destination();
          int length = frame.length();
          batch();
          switch (port == null ? Port.Outcome.REFUSED : port.send(frame)) {
            case TAKEN -> counters.sent(index, to, length);
            case REFUSED -> counters.sendDropped.increment();
            case THROTTLED -> {
              counters.sendThrottled.increment();
              holdFirst(packet, from);
              return false;
            }
          }
        }
        case END -> more = false;
        case MALFORMED -> {
          counters.sendMalformed.increment();
          status = NvspLayout.INVALID_RNDIS_PACKET;
          more = false;
        }
      }
    }
    complete(packet, status);
    return true;
  }

  /// The batch ends when the packets that are in the ring now, or many of them, are read. The
  /// channel's thread runs tasks then.
  private void batch() {
    if (!batchDue) {
      batchDue = true;
      line.execute(this::endBatch);
    }
  }

  private void endBatch() {
    batchDue = false;
    var port = nic.port();
    if (port != null) {
      port.endBatch();
    }
    completions.endBatch();
  }

  private static int cost(Packet packet) {
    return HELD_COST + packet.payload().length + packet.extension().length;
  }

  private void hold(Packet packet, int done) {
    int cost = cost(packet);
    if (held.size() >= MOST_HELD || heldBytes + cost > MOST_HELD_BYTES) {
      counters.sendDropped.increment();
      complete(packet, NvspLayout.SUCCESS);
      return;
    }
    heldBytes += cost;
    held.add(new Held(packet, done));
  }

  /// One packet beyond the limit does not count.
  private void holdFirst(Packet packet, int done) {
    heldBytes += cost(packet);
    held.addFirst(new Held(packet, done));
  }

  /// The port has bandwidth again. Any thread.
  void resume() {
    if (!resumeDue.getAndSet(true)) {
      line.execute(
          () -> {
            resumeDue.set(false);
            sendHeld();
          });
    }
  }

  private void sendHeld() {
    for (var next = held.poll(); next != null; next = held.poll()) {
      heldBytes -= cost(next.packet());
      if (!send(next.packet(), next.done())) {
        return;
      }
    }
  }

  // --- completions ---

  /// Completes a packet together with others of the batch: the guest is interrupted once for all of
  /// them, soon ({@link Completions}).
  private void complete(Packet packet, int status) {
    if (packet.wantsCompletion() && !broken) {
      // What lies in the guest's own memory may be waited for: a socket's room, a page.
      keep(
          packet,
          completion(status),
          status != NvspLayout.SUCCESS || packet.type() == Packet.GPA_DIRECT);
      batch();
    }
  }

  private byte[] completion(int status) {
    return NvspLayout.message(nic.version(), NvspLayout.SEND_RNDIS_PACKET_COMPLETE, status);
  }

  /// Answers a packet, if the guest waits for it.
  void answer(Packet packet, byte[] payload) {
    if (!packet.wantsCompletion() || broken) {
      return;
    }
    if (completions.flush() && line.complete(packet.transactionId(), payload)) {
      return;
    }
    keep(packet, payload, true);
  }

  private void keep(Packet packet, byte[] payload, boolean now) {
    int waiting = completions.add(new Completion(packet.transactionId(), payload), now);
    if (waiting >= MOST_COMPLETIONS) {
      broken = true;
      completions.close();
      held.clear();
      LOG.log(
          System.Logger.Level.WARNING,
          "channel {0} of a NIC stops: the guest does not fetch its completions",
          index);
    }
  }

  @Override
  public void roomAvailable() {
    completions.flush();
    if (nic.receiver().roomAvailable(index)) {
      nic.ready();
    }
    if (index == 0) {
      nic.tell();
    }
  }

  // --- life cycle ---

  @Override
  public void gpadlRemoved(int id) {
    if (index == 0) {
      nic.forgetBuffer(id);
    }
  }

  @Override
  public void rest() {
    nic.receiver().rest(index);
    line.execute(this::goOn);
  }

  /// The channel's thread works again.
  private void goOn() {
    completions.flush();
    sendHeld();
    if (nic.receiver().goOn(index)) {
      nic.ready();
    }
    if (index == 0) {
      nic.tell();
    }
  }

  @Override
  public void closed() {
    held.clear();
    completions.close();
    transmit = null;
    nic.closed(this);
  }

  /// What is left to do. Only while the bus is paused.
  NicState.Queue state() {
    var receive = nic.receiver().state(index);
    return new NicState.Queue(
        index,
        receive.lent(),
        receive.taken(),
        receive.lengths(),
        completions.state(),
        List.copyOf(held));
  }
}
