package dev.partita.synthetic.network;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.network.Frame;
import dev.partita.vmbus.GpaRange;
import dev.partita.vmbus.Gpadl;
import dev.partita.vmbus.Packet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// A guest's driver: does what Linux' does, on lines without a bus.
final class TestDriver implements AutoCloseable {
  static final int RECEIVE_GPADL = 0xE1E10;
  static final int SEND_GPADL = 0xE1E11;
  static final int RECEIVE_ID = 0xCAFE;

  private static final int RECEIVE_PAGE = 16;
  private static final int SEND_PAGE = 600;
  private static final int DATA_PAGE = 900;
  private static final int PAGES = 1024;

  final GuestMemory memory;
  final Map<Integer, Gpadl> gpadls = new HashMap<>();
  SyntheticNic nic;
  final TreeMap<Integer, TestLine> lines = new TreeMap<>();
  final TreeMap<Integer, NicChannel> channels = new TreeMap<>();
  private int request = 7;

  /// Of the receive buffer.
  int sectionSize;

  int sections;

  /// @param receivePages of the receive buffer, at most 500
  TestDriver(SyntheticNic nic, int receivePages) {
    this.nic = nic;
    memory = new GuestMemory((long) PAGES * GuestMemory.PAGE_SIZE);
    gpadls.put(RECEIVE_GPADL, gpadl(RECEIVE_GPADL, RECEIVE_PAGE, receivePages));
    gpadls.put(SEND_GPADL, gpadl(SEND_GPADL, SEND_PAGE, 256));
    open(0);
  }

  /// Pages that do not lie one after the other.
  private static Gpadl gpadl(int id, int first, int count) {
    var pages = new long[count];
    for (int i = 0; i < count; i++) {
      pages[i] = first + ((i ^ 1) < count ? i ^ 1 : i);
    }
    return new Gpadl(id, List.of(new GpaRange(count * GuestMemory.PAGE_SIZE, 0, pages)));
  }

  void open(int index) {
    open(new TestLine(memory, index, false, gpadls));
  }

  void open(TestLine line) {
    lines.put(line.subChannel(), line);
    channels.put(line.subChannel(), nic.open(line));
    runTasks();
  }

  TestLine line() {
    return line(0);
  }

  NicChannel channel() {
    return channel(0);
  }

  TestLine line(int index) {
    return Objects.requireNonNull(lines.get(index));
  }

  NicChannel channel(int index) {
    return Objects.requireNonNull(channels.get(index));
  }

  private long[] pages(int gpadl) {
    return Objects.requireNonNull(gpadls.get(gpadl)).ranges().getFirst().pages();
  }

  void runTasks() {
    lines.values().forEach(TestLine::runTasks);
  }

  // --- the protocol ---

  /// Sends a message of the first channel and takes the completion.
  ByteBuffer exchange(int... words) {
    long id = sendMessage(words);
    var completion = line().take();
    if (completion.type() != Packet.COMPLETION || completion.id() != id) {
      throw new AssertionError("no completion: " + completion);
    }
    return completion.payload();
  }

  private long sendMessage(int... words) {
    long id = line().nextId();
    channel()
        .received(
            new Packet(Packet.IN_BAND, Packet.COMPLETION_REQUESTED, id, new byte[0], words(words)));
    return id;
  }

  /// A message that is not answered.
  void tell(int... words) {
    channel().received(new Packet(Packet.IN_BAND, 0, 0, new byte[0], words(words)));
  }

  private static byte[] words(int... words) {
    var buffer = ByteBuffer.allocate(Math.max(40, words.length * 4)).order(ByteOrder.LITTLE_ENDIAN);
    for (int word : words) {
      buffer.putInt(word);
    }
    return buffer.array();
  }

  /// Goes from an open channel to one that carries frames.
  void begin(int version, int frameSize, long capabilities) {
    var answer = exchange(NvspLayout.INIT, version, version);
    expect(answer.getInt(12) == NvspLayout.SUCCESS, "refused");
    if (version != NvspLayout.VERSION_1) {
      tell(
          NvspLayout.SEND_NDIS_CONFIG,
          frameSize,
          0,
          (int) capabilities,
          (int) (capabilities >>> 32));
    }
    tell(NvspLayout.SEND_NDIS_VERSION, 6, version >= NvspLayout.VERSION_5 ? 30 : 1);
    giveBuffers();
    var initialized = request(RndisLayout.INITIALIZE, 1, 0, 0x4000);
    expect(initialized.getInt(12) == RndisLayout.SUCCESS, "not initialized");
  }

  void begin() {
    begin(NvspLayout.VERSION_6_1, 1514, 0x88);
    setFilter(Adapter.DIRECTED | Adapter.BROADCAST | Adapter.ALL_MULTICAST);
  }

  void giveBuffers() {
    giveReceiveBuffer();
    var send = exchange(NvspLayout.SEND_SEND_BUFFER, SEND_GPADL, 0);
    expect(send.getInt(4) == NvspLayout.SUCCESS && send.getInt(8) == 6144, "no send buffer");
  }

  void giveReceiveBuffer() {
    var receive = exchange(NvspLayout.SEND_RECEIVE_BUFFER, RECEIVE_GPADL, RECEIVE_ID);
    expect(receive.getInt(4) == NvspLayout.SUCCESS, "no receive buffer");
    expect(receive.getInt(8) == 1 && receive.getInt(12) == 0, "sections");
    sectionSize = receive.getInt(16);
    sections = receive.getInt(20);
  }

  static void expect(boolean condition, String otherwise) {
    if (!condition) {
      throw new AssertionError(otherwise);
    }
  }

  /// Sends a control message; the request's number comes after the header.
  ///
  /// @return the answer
  ByteBuffer request(int type, int... body) {
    control(type, body);
    return takeControl();
  }

  void control(int type, int... body) {
    var message = ByteBuffer.allocate(12 + body.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    message.putInt(type).putInt(message.capacity()).putInt(++request);
    for (int word : body) {
      message.putInt(word);
    }
    control(message.array());
  }

  void control(byte[] message) {
    memory.write(DATA_PAGE * 4096L, message);
    long id = line().nextId();
    channel().received(gpaPacket(id, NvspLayout.CONTROL_CHANNEL, -1, 0, message.length));
    var completion = line().received.remove();
    expect(completion.type() == Packet.COMPLETION && completion.id() == id, "no completion");
    expect(completion.payload().getInt(0) == NvspLayout.SEND_RNDIS_PACKET_COMPLETE, "no status");
  }

  /// Takes a control message and gives its section back.
  ByteBuffer takeControl() {
    var packet = line().received.remove();
    expect(packet.type() == Packet.TRANSFER_PAGES, "not a message: " + packet);
    expect(packet.payload().getInt(4) == NvspLayout.CONTROL_CHANNEL, "not a control message");
    var message = octets(packet.ranges().getFirst());
    expect(message.getInt(4) == message.limit(), "length");
    giveBack(0, packet.id());
    return message;
  }

  /// Octets in the receive buffer.
  private ByteBuffer octets(dev.partita.vmbus.Channel.TransferRange range) {
    expect(range.byteOffset() % sectionSize == 0, "not at a section");
    expect(range.byteCount() <= sectionSize, "beyond a section");
    var pages = pages(RECEIVE_GPADL);
    var octets = ByteBuffer.allocate(range.byteCount()).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < range.byteCount(); i++) {
      int at = range.byteOffset() + i;
      octets.put(i, memory.readByte(pages[at >> 12] * 4096 + (at & 4095)));
    }
    return octets;
  }

  void giveBack(int index, long packet) {
    channel(index)
        .received(
            new Packet(
                Packet.COMPLETION,
                0,
                packet,
                new byte[0],
                words(NvspLayout.SEND_RNDIS_PACKET_COMPLETE, NvspLayout.SUCCESS)));
  }

  /// @return the status
  int set(int oid, byte[] value) {
    var padded = ByteBuffer.allocate(28 + value.length).order(ByteOrder.LITTLE_ENDIAN);
    padded.putInt(RndisLayout.SET).putInt(padded.capacity()).putInt(++request).putInt(oid);
    padded.putInt(value.length).putInt(20).putInt(0).put(value);
    control(padded.array());
    var answer = takeControl();
    expect(answer.getInt(0) == (RndisLayout.SET | RndisLayout.COMPLETE), "no answer");
    expect(answer.getInt(8) == request, "another's answer");
    return answer.getInt(12);
  }

  int setFilter(int filter) {
    return set(
        ObjectId.CURRENT_PACKET_FILTER,
        ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(filter).array());
  }

  /// A value that there is.
  ByteBuffer query(int oid) {
    var value = ask(oid);
    if (value == null) {
      throw new AssertionError("object %08x is not known".formatted(oid));
    }
    return value;
  }

  /// @return null if it is not known
  @Nullable ByteBuffer ask(int oid) {
    var answer = request(RndisLayout.QUERY, oid, 0, 20, 0);
    expect(answer.getInt(0) == (RndisLayout.QUERY | RndisLayout.COMPLETE), "no answer");
    expect(answer.getInt(8) == request, "another's answer");
    if (answer.getInt(12) != RndisLayout.SUCCESS) {
      return null;
    }
    expect(answer.getInt(20) == 16 && answer.getInt(16) == answer.limit() - 24, "information");
    return answer.slice(24, answer.getInt(16)).order(ByteOrder.LITTLE_ENDIAN);
  }

  // --- frames ---

  /// A frame as it came to the driver.
  ///
  /// @param infos what is said of it
  record ReceivedFrame(byte[] octets, Map<Integer, Integer> infos) {}

  /// Takes all frames that came on a channel and gives their sections back.
  List<ReceivedFrame> frames(int index) {
    var all = new ArrayList<ReceivedFrame>();
    var line = line(index);
    while (!line.received.isEmpty()) {
      var packet = line.received.remove();
      expect(packet.type() == Packet.TRANSFER_PAGES, "not a message: " + packet);
      expect(packet.payload().getInt(0) == NvspLayout.SEND_RNDIS_PACKET, "not RNDIS");
      expect(packet.payload().getInt(4) == NvspLayout.DATA_CHANNEL, "not data");
      expect(packet.pageSet() == RECEIVE_ID, "not the receive buffer");
      ReceivedFrame joined = null;
      for (var range : packet.ranges()) {
        var frame = frame(octets(range));
        var fragment = frame.infos.get(RndisLayout.FRAGMENT_INFO);
        if (fragment == null) {
          all.add(frame);
          continue;
        }
        expect((fragment & 0x1FF) == 0x101, "fragment");
        expect((fragment & RndisLayout.FIRST_FRAGMENT) != 0 == (joined == null), "first");
        joined = joined == null ? frame : join(joined, frame);
        if ((fragment & RndisLayout.LAST_FRAGMENT) != 0) {
          all.add(joined);
          joined = null;
        }
      }
      expect(joined == null, "fragments of several packets");
      giveBack(index, packet.id());
    }
    return all;
  }

  private static ReceivedFrame join(ReceivedFrame one, ReceivedFrame other) {
    var octets = ByteBuffer.allocate(one.octets.length + other.octets.length);
    return new ReceivedFrame(octets.put(one.octets).put(other.octets).array(), one.infos);
  }

  private static ReceivedFrame frame(ByteBuffer message) {
    expect(message.getInt(0) == RndisLayout.PACKET, "not a packet");
    expect(message.getInt(4) <= message.limit(), "length");
    var infos = new HashMap<Integer, Integer>();
    int at = 8 + message.getInt(28);
    int end = at + message.getInt(32);
    expect(end == 8 || at == 44, "information");
    for (; at < end; at += message.getInt(at)) {
      infos.put(message.getInt(at + 4), message.getInt(at + message.getInt(at + 8)));
    }
    var octets = new byte[message.getInt(12)];
    message.get(8 + message.getInt(8), octets);
    return new ReceivedFrame(octets, infos);
  }

  /// A message of a frame, with pairs of what is said of it.
  static byte[] message(byte[] frame, int... infos) {
    int info = infos.length / 2 * 16;
    var message = ByteBuffer.allocate(44 + info + frame.length).order(ByteOrder.LITTLE_ENDIAN);
    message.putInt(RndisLayout.PACKET).putInt(message.capacity());
    message.putInt(36 + info).putInt(frame.length);
    // No out-of-band data: its offset, length and number.
    message.putInt(0).putInt(0).putInt(0);
    message.putInt(info == 0 ? 0 : 36).putInt(info).putInt(0).putInt(0);
    for (int i = 0; i < infos.length; i += 2) {
      message.putInt(16).putInt(infos[i]).putInt(12).putInt(infos[i + 1]);
    }
    return message.put(frame).array();
  }

  /// Sends messages as they are, by pages.
  ///
  /// @return the completion's status, or 0 if there is none
  int send(int index, byte[] message) {
    return status(line(index), push(index, message));
  }

  /// Sends messages, and does not look.
  ///
  /// @return the packet's number
  long push(int index, byte[] message) {
    memory.write(DATA_PAGE * 4096L + 100, message);
    long id = line(index).nextId();
    channel(index).received(gpaPacket(id, NvspLayout.DATA_CHANNEL, -1, 100, message.length));
    return id;
  }

  /// Sends messages, the first octets by a section of the send buffer, the rest by pages.
  int sendBySection(int index, int section, byte[] message, int inSection) {
    long id = pushBySection(index, section, message, inSection);
    return status(line(index), id);
  }

  /// The same, and does not look.
  ///
  /// @return the packet's number
  long pushBySection(int index, int section, byte[] message, int inSection) {
    var pages = pages(SEND_GPADL);
    for (int i = 0; i < inSection; i++) {
      int at = section * 6144 + i;
      memory.writeByte(pages[at >> 12] * 4096 + (at & 4095), message[i]);
    }
    var rest = java.util.Arrays.copyOfRange(message, inSection, message.length);
    memory.write(DATA_PAGE * 4096L, rest);
    var line = line(index);
    long id = line.nextId();
    channel(index)
        .received(
            rest.length == 0
                ? new Packet(
                    Packet.IN_BAND,
                    Packet.COMPLETION_REQUESTED,
                    id,
                    new byte[0],
                    words(NvspLayout.SEND_RNDIS_PACKET, 0, section, inSection))
                : new Packet(
                    Packet.GPA_DIRECT,
                    Packet.COMPLETION_REQUESTED,
                    id,
                    extension(0, rest.length),
                    words(NvspLayout.SEND_RNDIS_PACKET, 0, section, inSection)));
    return id;
  }

  private static int status(TestLine line, long id) {
    line.runTasks();
    if (line.received.isEmpty()) {
      return 0;
    }
    var completion = line.received.removeLast();
    expect(completion.type() == Packet.COMPLETION && completion.id() == id, "no completion");
    expect(completion.payload().getInt(0) == NvspLayout.SEND_RNDIS_PACKET_COMPLETE, "no status");
    return completion.payload().getInt(4);
  }

  private static Packet gpaPacket(long id, int channelType, int section, int offset, int length) {
    return new Packet(
        Packet.GPA_DIRECT,
        Packet.COMPLETION_REQUESTED,
        id,
        extension(offset, length),
        words(NvspLayout.SEND_RNDIS_PACKET, channelType, section, 0));
  }

  /// Ranges of a page each, as Linux has them.
  private static byte[] extension(int offset, int length) {
    int pages = (offset + length + 4095) / 4096;
    var extension = ByteBuffer.allocate(8 + pages * 16).order(ByteOrder.LITTLE_ENDIAN);
    extension.putInt(0).putInt(pages);
    for (int i = 0; i < pages; i++) {
      int within = i == 0 ? offset : 0;
      int piece = Math.min(length, 4096 - within);
      extension.putInt(piece).putInt(within).putLong(DATA_PAGE + i);
      length -= piece;
    }
    return extension.array();
  }

  /// Saves the NIC and goes on with another one. The channels' threads have their turn afterwards.
  ///
  /// @return the state
  NicState moveTo(SyntheticNic other) {
    channels.values().forEach(NicChannel::rest);
    var state = nic.state();
    other.restore(state);
    nic = other;
    channels.clear();
    for (var line : List.copyOf(lines.values())) {
      var next = line.successor();
      lines.put(line.subChannel(), next);
      channels.put(line.subChannel(), nic.open(next));
    }
    return state;
  }

  /// A frame for the NIC.
  boolean deliver(byte[] octets) {
    return nic.deliver(Frame.of(octets));
  }

  @Override
  public void close() {
    memory.close();
  }
}
