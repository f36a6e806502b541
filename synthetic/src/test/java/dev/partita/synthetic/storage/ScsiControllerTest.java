package dev.partita.synthetic.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.synthetic.storage.StorageState.Phase;
import dev.partita.vmbus.GpaRange;
import dev.partita.vmbus.Packet;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.Semaphore;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Bytes are those of Linux, `drivers/scsi/storvsc_drv.c`. Requests run when the test lets them.
@Timeout(60)
class ScsiControllerTest {
  private static final UUID INSTANCE = new UUID(1, 2);
  private static final String READY = "00 00000000 00";
  private static final String FLUSH = "35 00 00000000 00 0000 00";
  private static final int INVALID_LUN = 0x20;

  /// A thread pool that works when it is told to.
  private static final class Pool implements Executor {
    final ArrayDeque<Runnable> queue = new ArrayDeque<>();

    @Override
    public void execute(Runnable task) {
      queue.add(task);
    }

    void run() {
      for (var task = queue.poll(); task != null; task = queue.poll()) {
        task.run();
      }
    }
  }

  private final GuestMemory memory = new GuestMemory(1 << 20);
  private final Pool pool = new Pool();
  private final FaultyDisk disk = new FaultyDisk(1 << 20, 512);
  private final ScsiController controller = new ScsiController(INSTANCE, 3, pool);
  private TestLine line = new TestLine(memory, 0, false);
  private ControllerChannel channel = controller.open(line);

  @AfterEach
  void close() {
    memory.close();
  }

  private void begin() {
    controller.attach(0, new ScsiDisk(disk, new UUID(5, 6)));
    line.negotiate(channel);
  }

  private TestLine.Received ask(Packet packet) {
    channel.received(packet);
    pool.run();
    return line.take();
  }

  private static GpaRange range(int bytes, long... pages) {
    return new GpaRange(bytes, 0, pages);
  }

  // --- negotiation ---

  @Test
  void versionIsAgreedOn() {
    assertThat(ask(line.packet(7)).status()).isZero();
    var future = ask(line.packet(9, 0x0700));
    assertThat(future.operation()).isEqualTo(1);
    assertThat(future.status()).isNotZero();
    assertThat(ask(line.packet(9, 0x0600)).status()).isZero();
    assertThat(controller.version()).isEqualTo(0x0600);
    var properties = ask(line.packet(10));
    assertThat(properties.packet().getShort(16)).as("sub-channels").isEqualTo((short) 3);
    assertThat(properties.packet().getInt(20)).as("multi-channel").isEqualTo(1);
    assertThat(properties.packet().getInt(24)).as("bytes a request").isEqualTo(0x4_0000);
    assertThat(ask(line.command(0, READY)).status()).as("not ready yet").isNotZero();
    assertThat(ask(line.packet(8)).status()).isZero();
  }

  @Test
  void stepsOutOfOrderAreRefused() {
    for (int operation : new int[] {8, 9, 10, 13, 3}) {
      assertThat(ask(line.packet(operation, 0x0602)).status())
          .as("operation %d", operation)
          .isNotZero();
    }
    line.negotiate(channel);
    assertThat(ask(line.packet(9, 0x0602)).status()).isNotZero();
    assertThat(ask(line.packet(4711)).status()).isNotZero();
    assertThat(ask(line.packet(7)).status()).as("from the beginning").isZero();
  }

  @Test
  void subChannelsAreGrantedUpToTheLimit() {
    line.negotiate(channel);
    assertThat(ask(line.packet(13, 4)).status()).isNotZero();
    assertThat(line.subChannels).isEmpty();
    assertThat(ask(line.packet(13, 3)).status()).isZero();
    assertThat(line.subChannels).containsExactly(3);
    controller.attach(0, new ScsiDisk(disk, new UUID(5, 6)));
    line.received.clear(); // the news of the disk
    var sub = new TestLine(memory, 1, false);
    var subChannel = controller.open(sub);
    subChannel.received(sub.packet(13, 1));
    assertThat(sub.take().status()).as("of a sub-channel").isNotZero();
    subChannel.received(sub.packet(7));
    assertThat(sub.take().status()).as("only on the first").isNotZero();
    subChannel.received(sub.command(0, FLUSH));
    pool.run();
    assertThat(sub.take().srbStatus()).isEqualTo(1);
    assertThat(line.received).isEmpty();
  }

  // --- commands ---

  @Test
  void dataMoveBetweenDiskAndPages() {
    begin();
    disk.content.asSlice(0, 8192).fill((byte) 7);
    var answer = ask(line.command(0, "28 00 00000000 00 0010 00", 8192, range(8192, 20, 10)));
    assertThat(answer.operation()).isEqualTo(1);
    assertThat(answer.status()).isZero();
    assertThat(answer.srbStatus()).isEqualTo(1);
    assertThat(answer.scsiStatus()).isZero();
    assertThat(answer.transferred()).isEqualTo(8192);
    assertThat(memory.read(20 * 4096, 4096)).containsOnly(7);
    assertThat(memory.read(10 * 4096, 4096)).containsOnly(7);
    assertThat(memory.readByte(11 * 4096)).isZero();
    memory.write(30 * 4096, new byte[] {1, 2, 3});
    assertThat(ask(line.command(0, "2A 00 00000000 00 0001 00", 512, range(512, 30))).transferred())
        .isEqualTo(512);
    assertThat(disk.content.get(ValueLayout.JAVA_BYTE, 2)).isEqualTo((byte) 3);
  }

  @Test
  void writtenPagesAreMarkedDirty() {
    begin();
    memory.setTracking(true);
    memory.takeDirty();
    ask(line.command(0, "28 00 00000000 00 0008 00", 4096, range(4096, 33)));
    assertThat(memory.takeDirty()[0]).isEqualTo(1L << 33);
  }

  @Test
  void failureBringsSense() {
    begin();
    var answer = ask(line.command(0, "28 00 0000FFFF 00 0001 00", 512, range(512, 20)));
    assertThat(answer.scsiStatus()).isEqualTo(2);
    assertThat(answer.srbStatus() & 0x80).as("sense is valid").isEqualTo(0x80);
    assertThat(answer.senseLength()).isEqualTo(18);
    assertThat(answer.sense()).isEqualTo(0x05_21_00);
    assertThat(answer.transferred()).isZero();
    var noRoom = line.command(0, "28 00 0000FFFF 00 0001 00", 512, range(512, 20));
    noRoom.payload()[21] = 0;
    assertThat(ask(noRoom).srbStatus() & 0x80).as("no room for it").isZero();
  }

  @Test
  void whereThereIsNoUnitTheGuestIsToldSo() {
    begin();
    for (int lun : new int[] {1, 63, 64, 255}) {
      var answer = ask(line.command(lun, READY));
      assertThat(answer.srbStatus()).isEqualTo(INVALID_LUN);
      assertThat(answer.scsiStatus()).isNotZero();
    }
    var inquiry = ask(line.command(1, "12 00 00 0024 00", 36, range(36, 20)));
    assertThat(inquiry.srbStatus()).isEqualTo(1);
    assertThat(memory.readByte(20 * 4096)).isEqualTo((byte) 0x7F);
    var otherTarget = line.command(0, READY);
    otherTarget.payload()[18] = 1;
    assertThat(ask(otherTarget).srbStatus()).isEqualTo(INVALID_LUN);
  }

  @Test
  void unitsAreListed() {
    begin();
    controller.attach(63, new DvdDrive());
    controller.attach(7, new DvdDrive());
    line.received.clear();
    ask(line.command(0, "A0 00 00 000000 00000100 00 00", 256, range(256, 20)));
    assertThat(memory.read(20 * 4096, 36))
        .isEqualTo(
            Initiator.hex(
                "00000018 00000000 0000000000000000 0007000000000000 003F000000000000 00000000"));
    ask(line.command(0, "A0 00 01 000000 00000100 00 00", 256, range(256, 20)));
    assertThat(memory.readInt(20 * 4096)).as("well-known ones").isZero();
    assertThat(ask(line.command(0, "A0 00 03 000000 00000100 00 00", 256, range(256, 20))).sense())
        .isEqualTo(0x05_24_00);
    assertThatThrownBy(() -> controller.attach(64, new DvdDrive()))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> controller.attach(7, new DvdDrive()))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void rubbishIsAnsweredAndHarmsNothing() {
    begin();
    var read = "28 00 00000000 00 0008 00";
    assertThat(ask(line.command(0, read, 4096)).srbStatus() & 0x3F).as("no RAM").isEqualTo(6);
    assertThat(ask(line.command(0, read, -1, range(4096, 20))).srbStatus() & 0x3F).isEqualTo(6);
    assertThat(ask(line.command(0, read)).srbStatus() & 0x3F).as("no buffer").isEqualTo(6);
    assertThat(ask(line.command(0, read, 4095, range(4096, 20))).transferred()).isZero();
    assertThat(ask(line.command(0, read, 8192, range(4096, 20))).transferred()).isEqualTo(4096);
    var pages = new long[2049];
    Arrays.fill(pages, 20);
    assertThat(ask(line.command(0, read, 1 << 23, range(2049 * 4096, pages))).srbStatus() & 0x3F)
        .as("too many pages")
        .isEqualTo(6);
    for (int length = 0; length < 64; length++) {
      var answer =
          ask(line.packet(Packet.IN_BAND, Arrays.copyOf(TestLine.srb(0, read, 0), length)));
      assertThat(answer.operation()).as("%d bytes", length).isEqualTo(1);
    }
    var longCdb = line.command(0, READY);
    longCdb.payload()[20] = (byte) 255;
    assertThat(ask(longCdb).srbStatus()).isEqualTo(1);
    channel.received(line.packet(Packet.COMPLETION, new byte[64]));
    channel.received(line.packet(Packet.TRANSFER_PAGES, new byte[64]));
    channel.received(new Packet(Packet.IN_BAND, 0, 5, new byte[0], TestLine.srb(0, READY, 0)));
    assertThat(line.received).as("nothing that was not asked for").isEmpty();
    assertThat(ask(line.command(0, READY)).srbStatus()).isEqualTo(1);
  }

  // --- bounds ---

  @Test
  void moreThanIsTakenIsBusy() {
    begin();
    for (int i = 0; i < ControllerChannel.MOST_REQUESTS; i++) {
      channel.received(line.command(0, FLUSH));
    }
    assertThat(line.received).isEmpty();
    channel.received(line.command(0, FLUSH));
    var busy = line.take();
    assertThat(busy.scsiStatus()).isEqualTo(8);
    assertThat(busy.srbStatus()).isEqualTo(5);
    pool.run();
    assertThat(line.received).hasSize(ControllerChannel.MOST_REQUESTS);
    line.received.clear();
    assertThat(ask(line.command(0, FLUSH)).srbStatus()).isEqualTo(1);
  }

  @Test
  void completionsWaitForRoomInOrder() {
    begin();
    line.room = 2;
    for (int i = 0; i < 5; i++) {
      channel.received(line.command(0, READY));
    }
    assertThat(line.received).hasSize(2);
    line.room = 2;
    channel.roomAvailable();
    assertThat(line.received).hasSize(4);
    line.room = 10;
    channel.roomAvailable();
    assertThat(line.received.stream().map(TestLine.Received::id)).hasSize(5).isSorted();
  }

  @Test
  void guestThatFetchesNoCompletionsIsStopped() {
    begin();
    line.room = 0;
    for (int i = 0; i < 3 * ControllerChannel.MOST_COMPLETIONS; i++) {
      channel.received(line.command(0, READY));
    }
    assertThat(controller.state().channels()).as("kept").isEmpty();
    line.room = Integer.MAX_VALUE;
    channel.received(line.command(0, READY));
    channel.roomAvailable();
    assertThat(line.received).isEmpty();
    channel.closed();
    line = new TestLine(memory, 0, false);
    channel = controller.open(line);
    line.negotiate(channel);
    assertThat(ask(line.command(0, READY)).srbStatus()).as("after another start").isEqualTo(1);
  }

  // --- flight recordings ---

  @Test
  void requestsAndErrorsAreInAFlightRecording(@TempDir Path folder) throws Exception {
    begin();
    List<RecordedEvent> events;
    try (var recording = new Recording()) {
      recording.enable("dev.partita.StorageRequest").withoutThreshold();
      recording.enable("dev.partita.StorageError");
      recording.start();
      ask(line.command(0, FLUSH));
      disk.failure = new java.io.IOException("gone");
      ask(line.command(0, "28 00 00000010 00 0001 00", 512, range(512, 20)));
      recording.stop();
      var file = folder.resolve("recording.jfr");
      recording.dump(file);
      events = RecordingFile.readAllEvents(file);
    }
    assertThat(events)
        .filteredOn(each -> each.getEventType().getName().equals("dev.partita.StorageRequest"))
        .extracting(
            each -> each.getString("command").substring(0, 2), each -> each.getString("sense"))
        .containsExactly(tuple("35", ""), tuple("28", "3/11/00"));
    assertThat(events)
        .filteredOn(each -> each.getEventType().getName().equals("dev.partita.StorageError"))
        .singleElement()
        .satisfies(
            each -> {
              assertThat(each.getString("disk")).isEqualTo("faulty.raw");
              assertThat(each.getString("reason")).isEqualTo("gone");
              assertThat(each.getLong("sector")).isEqualTo(16);
            });
  }

  // --- hot plug and reset ---

  @Test
  void guestIsToldOfUnitsThatComeAndGo() {
    controller.attach(0, new ScsiDisk(disk, new UUID(5, 6)));
    assertThat(line.received).as("it has yet to look").isEmpty();
    line.negotiate(channel);
    controller.attach(1, new DvdDrive());
    var news = line.take();
    assertThat(news.id()).isZero();
    assertThat(news.operation()).as("ENUMERATE_BUS").isEqualTo(11);
    line.room = 0;
    assertThat(controller.detach(1)).isInstanceOf(DvdDrive.class);
    assertThat(controller.detach(1)).isNull();
    line.room = 5;
    channel.roomAvailable();
    assertThat(line.take().operation()).as("as soon as there is room").isEqualTo(11);
    channel.roomAvailable();
    assertThat(line.received).isEmpty();
  }

  @Test
  void diskThatGoesIsFlushedAndItsLastFlushIsNotRefused() {
    begin();
    channel.received(line.command(0, FLUSH));
    controller.detach(0);
    assertThat(disk.flushes).isEqualTo(1);
    line.received.clear();
    pool.run();
    assertThat(line.take().srbStatus()).as("was in the queue").isEqualTo(INVALID_LUN);
    assertThat(ask(line.command(0, FLUSH)).srbStatus()).isEqualTo(1);
    assertThat(ask(line.command(0, READY)).srbStatus()).isEqualTo(INVALID_LUN);
    assertThat(ask(line.command(1, FLUSH)).srbStatus()).isEqualTo(INVALID_LUN);
    controller.attach(0, new DvdDrive());
    line.received.clear();
    assertThat(ask(line.command(0, FLUSH)).srbStatus() & 0x3F).as("another").isNotEqualTo(1);
  }

  @Test
  void diskThatCannotBeFlushedIsGoneWithItsData() {
    begin();
    disk.failure = new java.io.IOException("gone");
    controller.detach(0);
    line.received.clear();
    assertThat(ask(line.command(0, FLUSH)).srbStatus()).isEqualTo(INVALID_LUN);
  }

  @Test
  void resetsAreToldToTheUnitsTheyConcern() {
    begin();
    controller.attach(2, new ScsiDisk(new FaultyDisk(4096, 512), new UUID(7, 8)));
    line.received.clear();
    var lunReset = line.packet(4);
    lunReset.payload()[19] = 2;
    assertThat(ask(lunReset).status()).isZero();
    assertThat(ask(line.command(0, READY)).scsiStatus()).isZero();
    assertThat(ask(line.command(2, READY)).sense()).isEqualTo(0x06_29_02);
    for (int operation : new int[] {5, 6}) {
      assertThat(ask(line.packet(operation)).status()).isZero();
      assertThat(ask(line.command(0, READY)).sense()).isEqualTo(0x06_29_02);
      assertThat(ask(line.command(2, READY)).sense()).isEqualTo(0x06_29_02);
      assertThat(ask(line.command(2, READY)).scsiStatus()).isZero();
    }
  }

  // --- rest, save, restore, close ---

  private static Thread inBackground(Runnable task) {
    return Thread.ofPlatform().daemon().start(task);
  }

  @Test
  void restWaitsForWhatIsUnderWayAndForNothingElse() throws Exception {
    begin();
    var gate = new Semaphore(0);
    disk.gate = gate;
    channel.received(line.command(0, FLUSH));
    channel.received(line.command(0, FLUSH));
    var first = pool.queue.remove();
    var worker = inBackground(first);
    disk.begun.acquire();
    assertThat(controller.underWay()).isEqualTo(1);
    var resting = inBackground(channel::rest);
    while (resting.getState() != Thread.State.WAITING) {
      Thread.onSpinWait();
    }
    assertThat(line.received).isEmpty();
    gate.release();
    resting.join();
    worker.join();
    assertThat(controller.underWay()).isZero();
    assertThat(line.take().srbStatus()).isEqualTo(1);
    pool.run();
    assertThat(line.received).as("rests").isEmpty();
    assertThat(controller.state().channels().getFirst().requests()).hasSize(1);
    gate.release();
    line.runTasks();
    pool.run();
    assertThat(line.take().srbStatus()).as("goes on").isEqualTo(1);
    assertThat(controller.state().channels()).isEmpty();
  }

  @Test
  void conversationGoesOnInAnotherController() {
    begin();
    controller.attach(1, new DvdDrive());
    controller.attach(2, new DvdDrive());
    controller.detach(2);
    line.received.clear();
    var sub = new TestLine(memory, 2, false);
    var subChannel = controller.open(sub);
    channel.received(line.packet(5));
    line.received.clear();
    memory.write(30 * 4096, new byte[] {1, 2, 3});
    // Two completions find no room, a write and a read have not begun, and a unit has just come.
    line.room = 0;
    channel.received(line.command(0, READY));
    channel.received(line.command(9, READY));
    channel.received(line.command(0, "2A 00 00000040 00 0001 00", 512, range(512, 30)));
    subChannel.received(sub.command(0, "28 00 00000040 00 0001 00", 512, range(512, 31)));
    controller.attach(3, new DvdDrive());
    channel.rest();
    subChannel.rest();
    var state = controller.state();
    assertThat(state.phase()).isEqualTo(Phase.READY);
    assertThat(state.rescanDue()).isTrue();
    assertThat(state.departed()).containsExactly(2);
    assertThat(state.channels()).hasSize(2);

    try (var otherMemory = new GuestMemory(1 << 20)) {
      otherMemory.write(0, memory.read(0, 1 << 20));
      var next = new ScsiController(INSTANCE, 3, pool);
      pool.queue.clear();
      next.attach(0, new ScsiDisk(disk, new UUID(5, 6)));
      next.attach(1, new DvdDrive());
      assertThatThrownBy(() -> next.restore(state))
          .as("LUN 3 is missing")
          .isInstanceOf(IllegalArgumentException.class);
      next.attach(3, new DvdDrive());
      next.restore(state);
      assertThat(next.state()).usingRecursiveComparison().isEqualTo(state);
      line = line.successor(otherMemory);
      var otherSub = sub.successor(otherMemory);
      channel = next.open(line);
      var otherSubChannel = next.open(otherSub);
      line.runTasks();
      pool.run();
      assertThat(line.received).hasSize(4);
      assertThat(line.received.get(0).sense()).as("the reset").isEqualTo(0x06_29_02);
      assertThat(line.received.get(1).srbStatus()).isEqualTo(INVALID_LUN);
      assertThat(line.received.get(2).operation()).as("ENUMERATE_BUS").isEqualTo(11);
      assertThat(line.received.get(3).transferred()).as("the write").isEqualTo(512);
      assertThat(disk.content.get(ValueLayout.JAVA_BYTE, 0x40 * 512 + 2)).isEqualTo((byte) 3);
      otherSub.runTasks();
      pool.run();
      assertThat(otherSub.take().transferred()).as("the read").isEqualTo(512);
      assertThat(otherMemory.read(31 * 4096, 3)).isEqualTo(new byte[] {1, 2, 3});
      line.received.clear();
      assertThat(ask(line.command(2, FLUSH)).srbStatus()).as("departed").isEqualTo(1);
      assertThat(ask(line.command(0, READY)).scsiStatus()).isZero();
      assertThat(next.state().channels()).isEmpty();
      otherSubChannel.closed();
    }
  }

  @Test
  void closedChannelDropsItsQueue() {
    begin();
    channel.received(line.command(0, FLUSH));
    channel.closed();
    pool.run();
    assertThat(line.received).isEmpty();
    assertThat(disk.flushes).isZero();
    assertThat(controller.state().phase()).isEqualTo(Phase.CLOSED);
    line = new TestLine(memory, 0, false);
    channel = controller.open(line);
    assertThat(ask(line.command(0, READY)).status()).as("from the beginning").isNotZero();
    line.negotiate(channel);
    assertThat(ask(line.command(0, FLUSH)).srbStatus()).isEqualTo(1);
  }
}
