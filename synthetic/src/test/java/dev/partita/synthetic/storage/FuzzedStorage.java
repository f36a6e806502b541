package dev.partita.synthetic.storage;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.disk.VirtualDisk;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.vmbus.GpaRange;
import dev.partita.vmbus.Packet;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// A guest, an operator and a file that do what bytes tell them, on one channel of a controller.
final class FuzzedStorage implements AutoCloseable {
  private static final int PAGES = 256;
  private static final byte CANARY = 0x5A;
  private static final MemorySegment UNTOUCHED =
      MemorySegment.ofArray(new byte[GuestMemory.PAGE_SIZE]).fill(CANARY);
  private static final int LUNS = 4;
  private static final int DISK_SIZE = 1 << 16;
  private static final int INTERNAL_TARGET_FAILURE = 0x04_44_00;

  private static final int[] OPCODES = {
    0x00, 0x03, 0x08, 0x0A, 0x12, 0x15, 0x1A, 0x1B, 0x1E, 0x25, 0x28, 0x28, 0x2A, 0x2A, 0x2B, 0x2E,
    0x2F, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4A, 0x51, 0x52, 0x55, 0x5A, 0x5E, 0x88, 0x88, 0x8A, 0x8A,
    0x8E, 0x8F, 0x91, 0x93, 0x9E, 0xA0, 0xA3, 0xA8, 0xAA, 0xAD, 0xAE, 0xAF, 0xBB, 0xBD, 0xBE, 0xFF
  };

  private final ByteBuffer in;
  private final GuestMemory memory = new GuestMemory(PAGES * (long) GuestMemory.PAGE_SIZE);
  private final ArrayDeque<Runnable> pool = new ArrayDeque<>();
  private final Map<Integer, LogicalUnit> units = new TreeMap<>();
  private final Set<FaultyDisk> media = new HashSet<>();
  private ScsiController controller = new ScsiController(new UUID(1, 2), 3, pool::add);
  private TestLine line = new TestLine(memory, 0, false);
  private ControllerChannel channel = controller.open(line);

  /// Requests that are to be answered, and how many bytes each may move.
  private final Map<Long, Long> due = new HashMap<>();

  /// Pages the guest has named.
  private final Set<Long> named = new HashSet<>();

  FuzzedStorage(byte[] input) {
    in = ByteBuffer.wrap(input);
    memory.segment().fill(CANARY);
    for (int lun = 0; lun < LUNS; lun++) {
      plug(lun);
    }
    if (next(4) != 0) {
      negotiate();
    }
  }

  // --- bytes ---

  private int next() {
    return in.hasRemaining() ? in.get() & 0xFF : 0;
  }

  private int next(int bound) {
    return next() % bound;
  }

  /// A number that is often small, often near a disk's end, and sometimes anything.
  private long number() {
    return switch (next(6)) {
      case 0, 1, 2 -> next(32);
      case 3 -> DISK_SIZE / 512 - next(4);
      case 4 -> -1L >>> next(64);
      default -> (long) next() << next(64);
    };
  }

  // --- what happens ---

  void run() {
    while (in.hasRemaining()) {
      step();
      takeAnswers();
    }
    line.room = Integer.MAX_VALUE;
    medium().forEach(each -> each.failure = null);
    line.runTasks();
    drain(Integer.MAX_VALUE);
    channel.roomAvailable();
    takeAnswers();
    assertThat(due).as("requests without an answer").isEmpty();
    assertThat(controller.underWay()).isZero();
    for (long page = 0; page < PAGES; page++) {
      if (!named.contains(page)) {
        var there = memory.slice(page * GuestMemory.PAGE_SIZE, GuestMemory.PAGE_SIZE);
        if (there.mismatch(UNTOUCHED) >= 0) {
          throw new AssertionError("page " + page + " was written and is nobody's");
        }
      }
    }
  }

  private java.util.stream.Stream<FaultyDisk> medium() {
    return media.stream();
  }

  private void step() {
    switch (next(32)) {
      case 0 -> negotiate();
      case 1 -> send(anyPacket());
      case 2 -> send(line.packet(new int[] {4, 5, 6, 7, 8, 9, 10, 13, 3, 11}[next(10)], next(8)));
      case 3 -> {
        int lun = next(LUNS);
        if (!units.containsKey(lun)) {
          plug(lun);
        } else if (next(4) == 0) {
          units.remove(lun);
          controller.detach(lun);
        }
      }
      case 4 -> changeMedium();
      case 5 -> line.room = next(3) == 0 ? Integer.MAX_VALUE : next(3);
      case 6 -> channel.roomAvailable();
      case 7 -> {
        channel.rest();
        drain(next(4));
        line.runTasks();
      }
      case 8 -> reopen();
      case 9 -> restore();
      case 10 -> {
        var failure = next(8) != 0 ? null : new IOException("No space left on device");
        medium().forEach(each -> each.failure = failure);
      }
      case 11, 12, 13, 14 -> drain(next(8));
      default -> send(command());
    }
  }

  private void drain(int most) {
    for (int i = 0; i < most && !pool.isEmpty(); i++) {
      pool.remove().run();
    }
  }

  private void negotiate() {
    send(line.packet(7));
    send(line.packet(9, 0x0602));
    send(line.packet(10));
    send(line.packet(8));
  }

  private void plug(int lun) {
    var disk = new FaultyDisk(DISK_SIZE, next(3) == 0 ? 4096 : 512);
    disk.readOnly = next(4) == 0;
    disk.trims = next(4) != 0;
    LogicalUnit unit;
    if (next(3) == 0) {
      unit = new DvdDrive();
    } else {
      unit = new ScsiDisk(disk, new UUID(lun, 7));
      media.add(disk);
    }
    units.put(lun, unit);
    controller.attach(lun, unit);
  }

  private void changeMedium() {
    for (var each : units.values()) {
      if (each instanceof DvdDrive dvd) {
        if (dvd.medium() == null) {
          var disk = new FaultyDisk(512 * (1 + next(100)), 512);
          disk.readOnly = true;
          media.add(disk);
          dvd.insert(disk);
        } else {
          dvd.eject(next(2) == 0);
        }
      }
    }
  }

  private void reopen() {
    channel.closed();
    due.clear();
    line = new TestLine(memory, 0, false);
    channel = controller.open(line);
    if (next(4) != 0) {
      negotiate();
    }
  }

  /// Saves the controller and goes on in another one.
  private void restore() {
    channel.rest();
    var state = controller.state();
    var nextController = new ScsiController(new UUID(1, 2), 3, pool::add);
    pool.clear();
    units.replaceAll((lun, unit) -> successor(lun, unit));
    units.forEach(nextController::attach);
    nextController.restore(state);
    assertThat(nextController.state().units()).isEqualTo(state.units());
    int room = line.room;
    takeAnswers();
    line = line.successor(memory);
    line.room = room;
    controller = nextController;
    channel = controller.open(line);
    line.runTasks();
  }

  private static LogicalUnit successor(int lun, LogicalUnit unit) {
    switch (unit) {
      case ScsiDisk disk -> {
        return new ScsiDisk(disk.disk(), new UUID(lun, 7));
      }
      case DvdDrive dvd -> {
        var next = new DvdDrive();
        VirtualDisk in = dvd.medium();
        if (in != null) {
          next.load(in);
        }
        return next;
      }
    }
  }

  // --- packets ---

  private Packet anyPacket() {
    var payload = new byte[next(11) * 8];
    for (int i = 0; i < payload.length; i++) {
      payload[i] = (byte) next();
    }
    int type = new int[] {6, 6, 7, 9, 11}[next(5)];
    return line.packet(type, payload);
  }

  private Packet command() {
    var cdb = ByteBuffer.allocate(16);
    int opcode = OPCODES[next(OPCODES.length)];
    cdb.put(0, (byte) opcode);
    cdb.put(1, (byte) (next(4) == 0 ? next() : opcode == 0x9E ? 0x10 : opcode == 0xA3 ? 0x0C : 0));
    long lba = number();
    int count = (int) (next(4) == 0 ? number() : next(8));
    switch (opcode >> 5) {
      case 0 -> {
        cdb.put(2, (byte) next());
        cdb.put(3, (byte) (lba));
        cdb.put(4, (byte) count);
      }
      case 1, 2 -> {
        cdb.putInt(2, (int) lba);
        cdb.put(6, (byte) next());
        cdb.putShort(7, (short) (opcode == 0x42 || opcode > 0x42 ? next(64) : count));
      }
      case 4 -> {
        cdb.putLong(2, lba);
        cdb.putInt(10, count);
      }
      default -> {
        cdb.putInt(2, (int) lba);
        cdb.putInt(6, count);
        cdb.put(10, (byte) next(2));
      }
    }
    for (int i = next(8); i > 6; i--) {
      cdb.put(next(16), (byte) next());
    }
    int wanted =
        switch (next(4)) {
          case 0 -> 0;
          case 1 -> next() * 16;
          default -> Math.max(1, count & 15) * (next(2) == 0 ? 512 : 4096);
        };
    var payload =
        TestLine.srb(next(LUNS + 1), java.util.HexFormat.of().formatHex(cdb.array()), wanted);
    if (next(16) == 0) {
      payload[12 + next(16)] = (byte) next();
    }
    if (wanted == 0) {
      return line.packet(Packet.IN_BAND, payload);
    }
    @Nullable GpaRange range = next(16) == 0 ? null : range(next(8) == 0 ? next() * 100 : wanted);
    return line.packet(Packet.GPA_DIRECT, payload, range);
  }

  private GpaRange range(int bytes) {
    int offset = next(3) == 0 ? next() * 16 : 0;
    var pages = new long[(bytes + offset + 4095) / 4096];
    int first = next(PAGES);
    for (int i = 0; i < pages.length; i++) {
      pages[i] = (first + i * (1L + first % 3)) % PAGES;
      named.add(pages[i]);
    }
    if (next(2) == 0) {
      fillList(bytes, offset, pages);
    }
    return new GpaRange(bytes, offset, pages);
  }

  /// A list of sectors for UNMAP, or modes, at the buffer's beginning.
  private void fillList(int bytes, int offset, long[] pages) {
    int room = Math.min(bytes, 4096 - offset);
    if (room >= 24) {
      var list = ByteBuffer.allocate(24).putShort((short) 22).putShort((short) 16).putInt(next());
      list.putLong(number()).putInt((int) number()).putInt(0);
      if (next(2) == 0) {
        Arrays.fill(list.array(), (byte) 0);
        list.put(next(2) == 0 ? 4 : 8, (byte) 8).put(next(2) == 0 ? 5 : 9, (byte) 18);
        list.put(10, (byte) next());
      }
      memory.write(pages[0] * 4096 + offset, list.array());
    }
  }

  private void send(Packet packet) {
    long most = 0;
    if (packet.type() == Packet.GPA_DIRECT && packet.payload().length >= 64) {
      most =
          line.ranges(packet).orElse(java.util.List.of()).stream()
              .mapToLong(GpaRange::byteCount)
              .sum();
      int length =
          ByteBuffer.wrap(packet.payload())
              .order(ByteOrder.LITTLE_ENDIAN)
              .getInt(VstorLayout.TRANSFER_LENGTH);
      most = Math.min(most, Math.max(0, length));
    }
    if (packet.type() == Packet.IN_BAND || packet.type() == Packet.GPA_DIRECT) {
      due.put(packet.transactionId(), most);
    }
    channel.received(packet);
  }

  private void takeAnswers() {
    for (var answer : line.received) {
      if (answer.id() == 0) {
        require(answer.operation() == VstorLayout.ENUMERATE_BUS, "news of an unknown kind");
        continue;
      }
      var most = due.remove(answer.id());
      if (most == null) {
        throw new AssertionError("an answer that is not due");
      }
      require(answer.operation() == VstorLayout.COMPLETE_IO, "an answer of an unknown kind");
      if (answer.packet().getShort(VstorLayout.SRB_LENGTH) == VstorLayout.SRB_SIZE) {
        require(answer.transferred() >= 0 && answer.transferred() <= most, "too much moved");
        require(answer.senseLength() <= VstorLayout.LONGEST_SENSE, "too much sense");
        require(
            answer.senseLength() < 14 || answer.sense() != INTERNAL_TARGET_FAILURE, "an exception");
      }
    }
    line.received.clear();
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
