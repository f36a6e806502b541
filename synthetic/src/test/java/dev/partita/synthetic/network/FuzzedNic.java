package dev.partita.synthetic.network;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.network.Checksums;
import dev.partita.network.Frame;
import dev.partita.network.MacAddress;
import dev.partita.network.Port;
import dev.partita.vmbus.GpaRange;
import dev.partita.vmbus.Gpadl;
import dev.partita.vmbus.Packet;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// A driver, a switch and an operator that do what bytes tell them.
final class FuzzedNic implements AutoCloseable {
  private static final int PAGES = 256;
  private static final byte CANARY = 0x5A;
  private static final MemorySegment UNTOUCHED =
      MemorySegment.ofArray(new byte[GuestMemory.PAGE_SIZE]).fill(CANARY);
  private static final int RECEIVE_PAGE = 16;
  private static final int RECEIVE_PAGES = 40;
  private static final int SEND_PAGE = 80;
  private static final int DATA_PAGE = 128;
  private static final int QUEUES = 3;
  private static final MacAddress MAC = MacAddress.parse("00:15:5d:00:00:01");
  private static final int[] TYPES = {
    1, 100, 101, 103, 104, 106, 107, 107, 107, 108, 109, 125, 126, 129, 131, 133, 135, 136
  };
  private static final int[] VERSIONS = {0x2, 0x30002, 0x40000, 0x50000, 0x60000, 0x60001};

  private final ByteBuffer in;
  private final GuestMemory memory = new GuestMemory(PAGES * (long) GuestMemory.PAGE_SIZE);
  private final Map<Integer, Gpadl> gpadls = new HashMap<>();
  private final FuzzedPort port = new FuzzedPort();
  private final NicSettings settings =
      NicSettings.of(new UUID(1, 2), MAC, QUEUES).withMtu(3000).withMacChanges(true);
  private SyntheticNic nic = new SyntheticNic(settings);
  private final TreeMap<Integer, TestLine> lines = new TreeMap<>();
  private final TreeMap<Integer, NicChannel> channels = new TreeMap<>();

  /// By channel: packets that are to be answered.
  private final Map<Integer, Set<Long>> due = new HashMap<>();

  /// By channel: packets of receive sections that the driver has.
  private final Map<Integer, Map<Long, List<Integer>>> lent = new HashMap<>();

  private final Set<Integer> lentOffsets = new HashSet<>();
  private int request;

  /// The switch.
  private static final class FuzzedPort implements Port {
    int outcome;
    boolean up = true;

    @Override
    public Outcome send(Frame frame) {
      if (frame.length() < Frame.HEADER || frame.length() > Frame.MAX_LENGTH) {
        throw new AssertionError("a frame of %d octets".formatted(frame.length()));
      }
      if (outcome == 0) {
        Checksums.complete(frame);
        return Outcome.TAKEN;
      }
      return outcome == 1 ? Outcome.REFUSED : Outcome.THROTTLED;
    }

    @Override
    public Outcome sendOrDrop(Frame frame) {
      throw new AssertionError("a NIC keeps what is refused");
    }

    @Override
    public void endBatch() {}

    @Override
    public void ready() {}

    @Override
    public boolean up() {
      return up;
    }

    @Override
    public void close() {}
  }

  FuzzedNic(byte[] input) {
    in = ByteBuffer.wrap(input);
    memory.segment().fill(CANARY);
    gpadls.put(1, gpadl(1, RECEIVE_PAGE, RECEIVE_PAGES));
    gpadls.put(2, gpadl(2, SEND_PAGE, 8));
    gpadls.put(3, gpadl(3, SEND_PAGE, 1));
    nic.connect(port);
    open(0);
    if (next(8) != 0) {
      begin();
    }
  }

  private static Gpadl gpadl(int id, int first, int count) {
    var pages = new long[count];
    for (int i = 0; i < count; i++) {
      pages[i] = first + (count - 1 - i);
    }
    return new Gpadl(id, List.of(new GpaRange(count * GuestMemory.PAGE_SIZE, 0, pages)));
  }

  private void open(int index) {
    lines.put(index, new TestLine(memory, index, false, gpadls));
    due.put(index, new HashSet<>());
    lent.put(index, new HashMap<>());
    channels.put(index, nic.open(line(index)));
  }

  private TestLine line(int index) {
    return java.util.Objects.requireNonNull(lines.get(index));
  }

  // --- bytes ---

  private int next() {
    return in.hasRemaining() ? in.get() & 0xFF : 0;
  }

  private int next(int bound) {
    return next() % bound;
  }

  /// A number that is often small, sometimes near a section's size, and sometimes anything.
  private int number() {
    return switch (next(6)) {
      case 0, 1, 2 -> next(64);
      case 3 -> 1400 + next();
      case 4 -> -1 >>> next(32);
      default -> next() << next(32);
    };
  }

  // --- what happens ---

  void run() {
    takeAll();
    while (in.hasRemaining()) {
      step();
      takeAll();
    }
    for (var line : lines.values()) {
      line.room = Integer.MAX_VALUE;
    }
    port.outcome = 0;
    nic.resume();
    lines.values().forEach(TestLine::runTasks);
    channels.values().forEach(NicChannel::roomAvailable);
    lines.values().forEach(TestLine::runTasks);
    takeAll();
    for (var packets : due.values()) {
      require(packets.isEmpty(), "packets without an answer");
    }
    for (long page = 0; page < PAGES; page++) {
      boolean mayBeWritten =
          page >= RECEIVE_PAGE && page < RECEIVE_PAGE + RECEIVE_PAGES
              || page >= SEND_PAGE && page < SEND_PAGE + 8
              || page >= DATA_PAGE && page < DATA_PAGE + 64;
      var there = memory.slice(page * GuestMemory.PAGE_SIZE, GuestMemory.PAGE_SIZE);
      require(mayBeWritten || there.mismatch(UNTOUCHED) < 0, "a page that is nobody's");
    }
  }

  private void step() {
    switch (next(32)) {
      case 0 -> begin();
      case 1 -> receive(randomPacket());
      case 2 -> receive(anyMessage());
      case 3 -> {
        int index = 1 + next(QUEUES - 1);
        if (channels.containsKey(index)) {
          close(index);
        } else if (channels.containsKey(0)) {
          open(index);
        }
      }
      case 4 -> line(0).room = next(3) == 0 ? Integer.MAX_VALUE : next(3);
      case 5 -> channels.values().forEach(NicChannel::roomAvailable);
      case 6 -> {
        channels.values().forEach(NicChannel::rest);
        deliver();
        lines.values().forEach(TestLine::runTasks);
      }
      case 7 -> reopen();
      case 8 -> restore();
      case 9 -> {
        port.outcome = next(3);
        nic.resume();
      }
      case 10 -> {
        port.up = !port.up;
        nic.linkChanged(port.up);
      }
      case 11 -> {
        channel(0).gpadlRemoved(1 + next(3));
        if (!nic.receiver().isOpen()) {
          voidBuffer();
        }
      }
      case 12 -> nic.networkChanged();
      case 13, 14 -> lines.values().forEach(TestLine::runTasks);
      case 15, 16, 17, 18, 19 -> deliver();
      case 20 -> nic.endBatch();
      case 21, 22, 23 -> giveBack();
      case 24, 25, 26 -> control();
      default -> data();
    }
  }

  private NicChannel channel(int index) {
    return java.util.Objects.requireNonNull(channels.get(index));
  }

  private int anyChannel() {
    int index = next(4) == 0 ? next(QUEUES) : 0;
    return channels.containsKey(index) ? index : 0;
  }

  private void begin() {
    int version = VERSIONS[next(8) < 6 ? 5 : next(6)];
    receive(message(NvspLayout.INIT, version, version));
    receive(message(NvspLayout.SEND_NDIS_CONFIG, 1514, 0, 0x88, 0));
    receive(message(NvspLayout.SEND_NDIS_VERSION, 6, 30));
    receive(message(NvspLayout.SEND_RECEIVE_BUFFER, 1, 0xCAFE));
    receive(message(NvspLayout.SEND_SEND_BUFFER, 2, 0));
    control(RndisLayout.INITIALIZE, 1, 0, 0x4000);
    control(RndisLayout.SET, ObjectId.CURRENT_PACKET_FILTER, 4, 20, 0, 0x3F);
    control(RndisLayout.SET, ObjectId.OFFLOAD_PARAMETERS, 28, 20, 0, 0, 0, 0, 0, 0, 0x0202_0000, 0);
  }

  private void close(int index) {
    channel(index).closed();
    channels.remove(index);
    lines.remove(index);
    due.remove(index);
    forgetLent(index);
  }

  private void forgetLent(int index) {
    var packets = lent.remove(index);
    if (packets != null) {
      packets.values().forEach(lentOffsets::removeAll);
    }
  }

  private void reopen() {
    close(0);
    for (int index : List.copyOf(channels.keySet())) {
      close(index);
    }
    lentOffsets.clear();
    open(0);
    if (next(4) != 0) {
      begin();
    }
  }

  private void restore() {
    takeAll();
    channels.values().forEach(NicChannel::rest);
    var state = nic.state();
    nic = new SyntheticNic(settings);
    nic.connect(port);
    nic.restore(state);
    channels.clear();
    for (var line : List.copyOf(lines.values())) {
      var next = line.successor();
      next.room = line.room;
      lines.put(line.subChannel(), next);
      channels.put(line.subChannel(), nic.open(next));
    }
    if (next(2) == 0) {
      deliver();
    }
    lines.values().forEach(TestLine::runTasks);
  }

  // --- from the driver ---

  private void receive(Packet packet) {
    receive(0, packet);
  }

  private void receive(int index, Packet packet) {
    boolean answered = packet.type() == Packet.IN_BAND || packet.type() == Packet.GPA_DIRECT;
    var waiting = due.get(index);
    if (answered && packet.wantsCompletion() && waiting != null) {
      waiting.add(packet.transactionId());
    }
    channel(index).received(packet);
    // What a guest has taken back or not given is not to be used: all that it had is void.
    if (!nic.receiver().isOpen()) {
      voidBuffer();
    }
  }

  private void voidBuffer() {
    takeAll();
    lentOffsets.clear();
    lent.values().forEach(Map::clear);
  }

  private Packet message(int... words) {
    var buffer = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
    for (int word : words) {
      buffer.putInt(word);
    }
    return packet(Packet.IN_BAND, new byte[0], buffer.array());
  }

  private Packet packet(int type, byte[] extension, byte[] payload) {
    int flags = next(16) == 0 ? 0 : Packet.COMPLETION_REQUESTED;
    return new Packet(type, flags, line(0).nextId(), extension, payload);
  }

  private Packet randomPacket() {
    var payload = new byte[next(8) * 8];
    var extension = new byte[next(8) * 8];
    for (int i = 0; i < payload.length; i++) {
      payload[i] = (byte) next();
    }
    for (int i = 0; i < extension.length; i++) {
      extension[i] = (byte) next();
    }
    if (payload.length >= 4 && next(2) == 0) {
      ByteBuffer.wrap(payload).order(ByteOrder.LITTLE_ENDIAN).putInt(0, TYPES[next(18)]);
    }
    return packet(new int[] {6, 9, 7, 11, 3}[next(5)], extension, payload);
  }

  private Packet anyMessage() {
    return message(TYPES[next(TYPES.length)], number(), number(), number(), number());
  }

  /// A packet whose message lies in pages and perhaps in a section.
  private Packet rndis(int channelType, byte[] message) {
    int section = next(4) == 0 ? next(8) : -1;
    int inSection = section < 0 ? 0 : Math.min(message.length, next(2) == 0 ? 9999 : number() & 63);
    for (int i = 0; i < inSection && section * 6144 + i < 8 * 4096; i++) {
      int at = section * 6144 + i;
      memory.writeByte((SEND_PAGE + 7 - (at >> 12)) * 4096L + (at & 4095), message[i]);
    }
    int offset = next(4) == 0 ? next() : 0;
    var rest = java.util.Arrays.copyOfRange(message, inSection, message.length);
    memory.write(DATA_PAGE * 4096L + offset, rest);
    int pages = (offset + rest.length + 4095) / 4096;
    var extension = ByteBuffer.allocate(16 + pages * 8).order(ByteOrder.LITTLE_ENDIAN);
    extension.putInt(0).putInt(1).putInt(rest.length).putInt(offset);
    for (int i = 0; i < pages; i++) {
      extension.putLong(DATA_PAGE + i);
    }
    if (next(16) == 0) {
      extension.putInt(next(extension.capacity() / 4) * 4, number());
    }
    var words = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
    words.putInt(NvspLayout.SEND_RNDIS_PACKET).putInt(channelType).putInt(section);
    words.putInt(next(16) == 0 ? number() : inSection);
    return packet(Packet.GPA_DIRECT, extension.array(), words.array());
  }

  private void control() {
    int type = next(4) == 0 ? next(12) : next(2) == 0 ? RndisLayout.QUERY : RndisLayout.SET;
    var oids = ObjectId.supported(0x6_001E);
    int oid = oids[next(oids.length)];
    int length =
        switch (next(4)) {
          case 0 -> next();
          case 1 -> 28;
          case 2 -> 80;
          default -> 6;
        };
    var message = ByteBuffer.allocate(28 + length).order(ByteOrder.LITTLE_ENDIAN);
    message.putInt(type).putInt(28 + length).putInt(++request).putInt(oid);
    message.putInt(next(8) == 0 ? number() : length).putInt(next(8) == 0 ? number() : 20);
    message.putInt(0);
    if (oid == ObjectId.RECEIVE_SCALE_PARAMETERS && length == 80) {
      message.putInt(0x280289).putInt(next(16) == 0 ? number() : 0).putInt(0x1701);
      message.putInt(4 << next(4)).putInt(next(4) == 0 ? number() : 40).putInt(40).putInt(40);
      while (message.hasRemaining()) {
        message.put((byte) (message.remaining() % 4 == 0 ? next(QUEUES + 1) : 0));
      }
    }
    while (message.hasRemaining()) {
      message.put((byte) next());
    }
    receive(rndis(NvspLayout.CONTROL_CHANNEL, message.array()));
  }

  private void control(int type, int... body) {
    var message = ByteBuffer.allocate(12 + body.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    message.putInt(type).putInt(message.capacity()).putInt(++request);
    for (int word : body) {
      message.putInt(word);
    }
    memory.write(DATA_PAGE * 4096L, message.array());
    var extension = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN);
    extension.putInt(0).putInt(1).putInt(message.capacity()).putInt(0).putLong(DATA_PAGE);
    var words = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
    words.putInt(NvspLayout.SEND_RNDIS_PACKET).putInt(1).putInt(-1).putInt(0);
    receive(packet(Packet.GPA_DIRECT, extension.array(), words.array()));
  }

  private byte[] frame() {
    var from = MacAddress.parse("00:15:5d:00:00:02");
    var to = next(4) == 0 ? MacAddress.BROADCAST : next(8) == 0 ? from : MAC;
    var frame =
        switch (next(5)) {
          case 0 -> TestFrames.plain(to, 14 + next());
          case 1 -> TestFrames.udp4(to, from, next(), next() * 6);
          case 2 -> TestFrames.tcp4(to, from, next(), next() * (next(4) == 0 ? 255 : 5));
          case 3 -> TestFrames.tcp6(to, from, next(), next() * (next(4) == 0 ? 255 : 5));
          default -> java.util.Arrays.copyOf(TestFrames.udp4(to, from, 7, 20), next(80));
        };
    for (int i = next(8); i > 5 && frame.length > 0; i--) {
      frame[next() % frame.length] = (byte) next();
    }
    return frame;
  }

  private void data() {
    var all = new java.io.ByteArrayOutputStream();
    for (int i = next(3); i >= 0 && all.size() < 60_000; i--) {
      var frame = frame();
      var infos = new ArrayList<Integer>();
      for (int j = next(3); j > 0; j--) {
        infos.add(new int[] {0, 0, 2, 2, 6, 8, 9, 0x8000_0001}[next(8)]);
        infos.add(next(4) == 0 ? number() : next(2) == 0 ? 0x22_0005 | 1 << next(5) : 1400);
      }
      var message = TestDriver.message(frame, infos.stream().mapToInt(n -> n).toArray());
      message = java.util.Arrays.copyOf(message, message.length + 7 & ~7);
      var words = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
      words.putInt(4, message.length);
      if (next(8) == 0) {
        words.putInt(4 * next(Math.min(18, message.length / 4)), number());
      }
      all.writeBytes(message);
    }
    receive(anyChannel(), rndis(NvspLayout.DATA_CHANNEL, all.toByteArray()));
  }

  private void giveBack() {
    int index = anyChannel();
    var packets = lent.get(index);
    long id = number();
    if (packets != null && !packets.isEmpty() && next(8) != 0) {
      id = packets.keySet().iterator().next();
    }
    var sections = packets == null ? null : packets.remove(id);
    if (sections != null) {
      lentOffsets.removeAll(sections);
    }
    receive(index, new Packet(Packet.COMPLETION, 0, id, new byte[0], new byte[8]));
  }

  // --- from the switch ---

  private void deliver() {
    var octets = frame();
    if (octets.length < Frame.HEADER) {
      return;
    }
    var frame =
        new Frame().set(ByteBuffer.allocate(octets.length + 4).put(4, octets), 4, octets.length);
    if (next(4) == 0) {
      frame.tag(next() << 8 | next());
    }
    nic.deliver(frame);
  }

  // --- to the driver ---

  private void takeAll() {
    lines.forEach(
        (index, line) -> {
          for (var each = line.received.poll(); each != null; each = line.received.poll()) {
            take(index, each);
          }
        });
  }

  private void take(int index, TestLine.Received packet) {
    switch (packet.type()) {
      case Packet.COMPLETION -> {
        @Nullable Set<Long> waiting = due.get(index);
        require(waiting != null && waiting.remove(packet.id()), "an answer that is not due");
      }
      case Packet.TRANSFER_PAGES -> {
        require(packet.pageSet() == 0xCAFE || packet.pageSet() <= 0xFFFF, "a page set");
        require(packet.ranges().size() <= Receiver.MOST_RANGES, "many ranges");
        var offsets = new ArrayList<Integer>();
        for (var range : packet.ranges()) {
          int end = range.byteOffset() + range.byteCount();
          require(range.byteOffset() >= 0 && end <= RECEIVE_PAGES * 4096, "beyond the buffer");
          require(lentOffsets.add(range.byteOffset()), "a section that the driver has");
          offsets.add(range.byteOffset());
        }
        var packets = lent.get(index);
        require(packets != null && packets.put(packet.id(), offsets) == null, "a number twice");
      }
      case Packet.IN_BAND ->
          require(packet.payload().getInt(0) == NvspLayout.SEND_INDIRECTION_TABLE, "unknown news");
      default -> throw new AssertionError("an unknown packet");
    }
  }

  private static void require(boolean condition, String otherwise) {
    if (!condition) {
      throw new AssertionError(otherwise);
    }
  }

  @Override
  public void close() {
    memory.close();
  }
}
