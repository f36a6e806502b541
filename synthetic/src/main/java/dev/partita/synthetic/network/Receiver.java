package dev.partita.synthetic.network;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.vmbus.Channel.TransferRange;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// The way to the guest: frames and control messages are copied to sections of the receive buffer,
/// and the guest is told which ones, many in one packet of the ring. It gives the sections back
/// packet by packet.
///
/// What it keeps is bounded: frames are not kept at all, those of a packet that found no room in
/// the ring lie in the guest's memory, and of control messages there are {@link #MOST_CONTROLS} at
/// most. Any thread. No other object's method is called under the lock but those of the line, which
/// call nobody.
final class Receiver {
  /// Ranges of one packet. Drivers of NDIS 5 take no more, and it is enough for the largest frame.
  static final int MOST_RANGES = 64;

  /// Control messages that wait for a section: a driver waits for each answer.
  static final int MOST_CONTROLS = 32;

  /// Of each section, before the frame.
  static final int HEADER = FrameMessage.LENGTH;

  /// Of each section, after the frame: the last 36 bytes cannot be used with some versions of the
  /// Windows driver (OpenVMM, `netvsp/src/buffers.rs`).
  private static final int FOOTER = 36;

  /// A tag may have to be put into the frame.
  private static final int TAG = 4;

  /// Sections are multiples of this.
  private static final int SECTION_UNIT = 64;

  /// Sections of one buffer; Linux' largest has 19 thousand. What more there is stays unused.
  static final int MOST_SECTIONS = 1 << 15;

  /// Of which frames leave one to control messages.
  private static final int RESERVED = 1;

  /// As long as the first channel rests.
  private static final long RESTORING = 1;

  /// Sections that have to be free before a sender that found none tries again.
  private static final int WORTH_WHILE = 32;

  private final NicCounters counters;
  private final ReentrantLock lock = new ReentrantLock();
  private volatile ReceiveRules rules = ReceiveRules.NOTHING;
  private volatile int version;

  // Guarded by the lock.
  private final @Nullable Queue[] queues = new @Nullable Queue[NicSettings.MOST_QUEUES];
  private final ArrayDeque<byte[]> controls = new ArrayDeque<>();
  private final FrameMessage header = new FrameMessage();
  private @Nullable GuestBuffer buffer;
  private Sections sections = new Sections(0);
  private int sectionSize;
  private int pageSet;
  private int fragmentId;

  /// Channels that rest.
  private long resting;

  /// The buffer is that of a saved state.
  private boolean reopening;

  /// What a saved state had of channels that are not open yet.
  private final Map<Integer, QueueState> saved = new HashMap<>();

  /// Sections that a refused frame needs, or 0 if none was refused.
  private int wanted;

  /// Queues with a packet that is not sent.
  private long unsent;

  private static final class Queue {
    final Line line;
    final Completions completions;
    final int index;
    final int[] taken = new int[MOST_RANGES];
    final int[] lengths = new int[MOST_RANGES];
    int count;

    Queue(Line line, Completions completions) {
      this.line = line;
      this.completions = completions;
      this.index = line.subChannel();
    }
  }

  /// What is left to send on a queue, and what the guest has of it.
  ///
  /// @param lent packets of sections
  /// @param taken sections of the packet that is not sent
  /// @param lengths bytes in each of them
  record QueueState(List<List<Integer>> lent, List<Integer> taken, List<Integer> lengths) {
    QueueState {
      lent = List.copyOf(lent);
      taken = List.copyOf(taken);
      lengths = List.copyOf(lengths);
    }

    static final QueueState NOTHING = new QueueState(List.of(), List.of(), List.of());
  }

  Receiver(NicCounters counters) {
    this.counters = counters;
  }

  /// Bytes of a section for frames of a size, without a tag.
  static int sectionSize(int frameSize) {
    int needed = HEADER + frameSize + TAG + FOOTER;
    return (needed + SECTION_UNIT - 1) / SECTION_UNIT * SECTION_UNIT;
  }

  ReceiveRules rules() {
    return rules;
  }

  void rules(ReceiveRules changed) {
    rules = changed;
  }

  // --- set up ---

  /// Takes the guest's buffer; after {@link #restore} with the sections of the saved state.
  void open(GuestBuffer memory, NicState.Buffer agreed, int protocol) {
    lock.lock();
    try {
      if (!reopening) {
        take(agreed, protocol);
      }
      reopening = false;
      buffer = memory;
    } finally {
      lock.unlock();
    }
  }

  private void take(NicState.Buffer agreed, int protocol) {
    pageSet = agreed.id();
    sectionSize = agreed.sectionSize();
    version = protocol;
    sections = new Sections(agreed.sections());
  }

  boolean isOpen() {
    lock.lock();
    try {
      return buffer != null;
    } finally {
      lock.unlock();
    }
  }

  /// Lets go of the buffer: when this returns, nothing touches it any more.
  void close() {
    lock.lock();
    try {
      buffer = null;
      reopening = false;
      resting &= ~RESTORING;
      sections = new Sections(0);
      controls.clear();
      saved.clear();
      for (var queue : queues) {
        if (queue != null) {
          queue.count = 0;
        }
      }
      unsent = 0;
      wanted = 0;
    } finally {
      lock.unlock();
    }
  }

  /// A channel is open.
  ///
  /// @param completions go with what is received
  void add(Line line, Completions completions) {
    lock.lock();
    try {
      var queue = new Queue(line, completions);
      queues[queue.index] = queue;
      var before = saved.remove(queue.index);
      if (line.restored() && before != null) {
        for (int i = 0; i < before.taken.size(); i++) {
          queue.taken[i] = before.taken.get(i);
          queue.lengths[i] = before.lengths.get(i);
        }
        queue.count = before.taken.size();
        unsent |= queue.count > 0 ? 1L << queue.index : 0;
      }
    } finally {
      lock.unlock();
    }
  }

  /// A channel is closed: when this returns, nothing is sent on it any more.
  void remove(Line line) {
    lock.lock();
    try {
      int index = line.subChannel();
      var queue = queues[index];
      if (queue == null || queue.line != line) {
        return;
      }
      queues[index] = null;
      resting &= ~(1L << index);
      unsent &= ~(1L << index);
      for (int i = 0; i < queue.count; i++) {
        sections.release(queue.taken[i]);
      }
      sections.giveAllBack(index);
    } finally {
      lock.unlock();
    }
  }

  /// How many channels are open.
  int openQueues() {
    lock.lock();
    try {
      return (int) Arrays.stream(queues).filter(java.util.Objects::nonNull).count();
    } finally {
      lock.unlock();
    }
  }

  /// A channel rests: nothing touches guest memory until {@link #goOn}.
  void rest(int index) {
    lock.lock();
    resting |= 1L << index;
    lock.unlock();
  }

  /// A channel works again.
  ///
  /// @return whether somebody waits for {@link dev.partita.network.Port#ready}
  boolean goOn(int index) {
    lock.lock();
    try {
      resting &= ~(1L << index);
      if (resting != 0) {
        return false;
      }
      flushControls();
      for (var queue : queues) {
        if (queue != null) {
          flush(queue);
        }
      }
      return takeWanted();
    } finally {
      lock.unlock();
    }
  }

  // --- frames ---

  /// Takes a frame for the guest.
  ///
  /// @return false if there is no room
  boolean deliver(Frame frame) {
    var now = rules;
    if (frame.length() < Frame.HEADER || !now.wants(frame)) {
      counters.receiveFiltered.increment();
      return true;
    }
    var headers = Headers.of(frame);
    var scaling = now.scaling();
    int hash = scaling == null ? 0 : scaling.hash(headers);
    int index = hash == 0 || scaling == null ? 0 : scaling.queue(hash);
    int checksum = now.verify(headers);
    boolean tagged = frame.tag() != Frame.NO_TAG;
    if (tagged && !now.tags()) {
      // The driver knows nothing of tags beside the frame.
      if (!frame.putTag()) {
        counters.receiveDropped.increment();
        return true;
      }
      try {
        return deliver(frame, index, checksum, hash);
      } finally {
        frame.takeTag();
      }
    }
    return deliver(frame, index, checksum, hash);
  }

  private boolean deliver(Frame frame, int index, int checksum, int hash) {
    lock.lock();
    try {
      var queue = queues[index];
      if (queue == null) {
        queue = queues[0];
      }
      var memory = buffer;
      if (resting != 0 && queue != null) {
        return refuse(1);
      }
      if (queue == null || memory == null) {
        counters.receiveDropped.increment();
        return true;
      }
      int room = sectionSize - HEADER - FOOTER;
      int needed = (frame.length() + room - 1) / room;
      if (needed > MOST_RANGES
          || needed + RESERVED > sections.count()
          || needed > 1 && rules.offloads().largestSegment() == 0) {
        counters.receiveDropped.increment();
        return true;
      }
      if (sections.free() < needed + RESERVED
          || queue.count + needed > MOST_RANGES && !flush(queue)) {
        return refuse(needed);
      }
      if (needed == 1) {
        put(memory, queue, frame, 0, frame.length(), checksum, hash, 0);
      } else {
        putFragments(memory, queue, frame, checksum, hash, room);
        counters.coalesced.increment();
      }
      counters.received(queue.index, frame);
      unsent |= 1L << queue.index;
      if (queue.count == MOST_RANGES) {
        flush(queue);
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  private boolean refuse(int needed) {
    wanted = Math.max(wanted, needed);
    counters.receiveRefused.increment();
    return false;
  }

  private void putFragments(
      GuestBuffer memory, Queue queue, Frame frame, int checksum, int hash, int room) {
    fragmentId = fragmentId + 1 & 0xFFFF;
    int total = frame.length();
    for (int done = 0; done < total; ) {
      int piece = Math.min(room, total - done);
      int fragment =
          RndisLayout.FRAGMENT_VERSION
              | RndisLayout.FRAGMENT
              | (done == 0 ? RndisLayout.FIRST_FRAGMENT : 0)
              | (done + piece == total ? RndisLayout.LAST_FRAGMENT : 0)
              | fragmentId << 16;
      put(memory, queue, frame, done, piece, checksum, hash, fragment);
      done += piece;
    }
  }

  /// Copies a part of a frame to a section.
  ///
  /// @param fragment what is said of the part, or 0 if it is all
  private void put(
      GuestBuffer memory,
      Queue queue,
      Frame frame,
      int from,
      int count,
      int checksum,
      int hash,
      int fragment) {
    header.write(count, checksum, frame.tag(), hash, fragment);
    int section = sections.take();
    int offset = section * sectionSize;
    memory.put(offset, header.octets(), 0, HEADER);
    memory.put(offset + HEADER, frame.bytes(), frame.start() + from, count);
    memory.written(offset, HEADER + count);
    queue.taken[queue.count] = section;
    queue.lengths[queue.count++] = HEADER + count;
  }

  /// The frames so far were a batch.
  void endBatch() {
    lock.lock();
    try {
      for (long left = unsent; left != 0; left &= left - 1) {
        var queue = queues[Long.numberOfTrailingZeros(left)];
        if (queue != null) {
          flush(queue);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /// Sends a queue's packet.
  ///
  /// @return false if there is no room in the ring
  private boolean flush(Queue queue) {
    if (queue.count == 0) {
      return true;
    }
    if (!send(queue.line, NvspLayout.DATA_CHANNEL, queue.taken, queue.lengths, queue.count)) {
      return false;
    }
    sections.lend(queue.taken, queue.count, queue.index);
    queue.count = 0;
    unsent &= ~(1L << queue.index);
    queue.completions.flush();
    return true;
  }

  private boolean send(Line line, int channelType, int[] taken, int[] lengths, int count) {
    var ranges = new ArrayList<TransferRange>(count);
    for (int i = 0; i < count; i++) {
      ranges.add(new TransferRange(lengths[i], taken[i] * sectionSize));
    }
    var payload =
        NvspLayout.message(
            version, NvspLayout.SEND_RNDIS_PACKET, channelType, NvspLayout.NO_SECTION, 0);
    return line.sendTransferPages(taken[0], pageSet, ranges, payload);
  }

  // --- control messages ---

  /// Sends a control message, as soon as there is room.
  ///
  /// @return false if too many wait already
  boolean control(byte[] message) {
    lock.lock();
    try {
      if (controls.size() >= MOST_CONTROLS) {
        return false;
      }
      if (buffer != null) {
        controls.add(message);
        flushControls();
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  private void flushControls() {
    var first = queues[0];
    var memory = buffer;
    if (first == null || memory == null || resting != 0) {
      return;
    }
    for (var message = controls.peek(); message != null; message = controls.peek()) {
      if (sections.free() == 0) {
        return;
      }
      int length = Math.min(message.length, sectionSize - FOOTER);
      int section = sections.take();
      memory.put(section * sectionSize, ByteBuffer.wrap(message), 0, length);
      memory.written(section * sectionSize, length);
      var taken = new int[] {section};
      if (!send(first.line, NvspLayout.CONTROL_CHANNEL, taken, new int[] {length}, 1)) {
        sections.release(section);
        return;
      }
      sections.lend(taken, 1, 0);
      controls.remove();
    }
  }

  // --- what the guest does ---

  /// The guest gives a packet's sections back.
  ///
  /// @return whether somebody waits for {@link dev.partita.network.Port#ready}
  boolean completed(int queue, long packet) {
    lock.lock();
    try {
      if (sections.giveBack(packet, queue) == 0) {
        return false;
      }
      if (!controls.isEmpty()) {
        flushControls();
      }
      return isReady() && takeWanted();
    } finally {
      lock.unlock();
    }
  }

  private boolean isReady() {
    int enough = Math.max(wanted, Math.min(WORTH_WHILE, sections.count() / 2)) + RESERVED;
    return wanted > 0 && sections.free() >= Math.min(enough, sections.count());
  }

  private boolean takeWanted() {
    boolean awaited = wanted > 0;
    wanted = 0;
    return awaited;
  }

  /// There is room in a channel's ring.
  ///
  /// @return whether somebody waits for {@link dev.partita.network.Port#ready}
  boolean roomAvailable(int index) {
    lock.lock();
    try {
      var queue = queues[index];
      if (queue == null || resting != 0) {
        return false;
      }
      if (index == 0) {
        flushControls();
      }
      return flush(queue) && isReady() && takeWanted();
    } finally {
      lock.unlock();
    }
  }

  // --- saved state ---

  QueueState state(int index) {
    lock.lock();
    try {
      var queue = queues[index];
      if (queue == null) {
        return saved.getOrDefault(index, QueueState.NOTHING);
      }
      return new QueueState(
          sections.lent(index), list(queue.taken, queue.count), list(queue.lengths, queue.count));
    } finally {
      lock.unlock();
    }
  }

  private static List<Integer> list(int[] numbers, int count) {
    return Arrays.stream(numbers, 0, count).boxed().toList();
  }

  List<byte[]> waitingControls() {
    lock.lock();
    try {
      return List.copyOf(controls);
    } finally {
      lock.unlock();
    }
  }

  /// Goes on with a saved state, before the channels are open.
  ///
  /// @throws IllegalArgumentException if it is impossible
  void restore(
      NicState.Buffer agreed,
      int protocol,
      List<byte[]> messages,
      Map<Integer, QueueState> states) {
    lock.lock();
    try {
      if (agreed.sections() < 0
          || agreed.sections() > MOST_SECTIONS
          || messages.size() > MOST_CONTROLS) {
        throw new IllegalArgumentException(
            "saved NIC with %d sections".formatted(agreed.sections()));
      }
      take(agreed, protocol);
      reopening = true;
      // Frames wait until the first channel is there again.
      resting |= RESTORING;
      controls.clear();
      controls.addAll(messages);
      saved.clear();
      saved.putAll(states);
      states.forEach(this::claim);
    } finally {
      lock.unlock();
    }
  }

  private void claim(int index, QueueState state) {
    if (state.taken.size() > MOST_RANGES
        || state.lent.stream().anyMatch(List::isEmpty)
        || state.lengths.size() != state.taken.size()
        || state.lengths.stream().anyMatch(length -> length < 0 || length > sectionSize)) {
      throw new IllegalArgumentException("saved queue %d of a NIC".formatted(index));
    }
    for (var packet : state.lent) {
      sections.take(packet);
      sections.lend(packet.stream().mapToInt(i -> i).toArray(), packet.size(), index);
    }
    sections.take(state.taken);
  }
}
