package dev.partita.vmbus;

import dev.partita.vmbus.VmbusServerState.Closing;
import dev.partita.vmbus.VmbusServerState.Contact;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/// The control plane: what a guest says on the bus, and what is to be done about it. A state
/// machine without thread, time or I/O; not thread-safe.
///
/// A contact (INITIATE_CONTACT) is possible at any time and ends the one before: after firmware
/// comes the operating system, and after a crash the next kernel. All channels of the old contact
/// are closed before the new one is answered, so that no device writes into memory that has another
/// use by then. In the same way GPADL_TORNDOWN and UNLOAD_RESPONSE wait until the devices concerned
/// have let go.
///
/// Every message that a guest waits for is answered, if only with a failure: Linux waits without
/// limit. What nobody waits for and is wrong is ignored, and counted.
///
/// What a guest may make the host keep is bounded: {@link GpadlTable#MOST_PAGES}, at most {@link
/// #MOST_CHANNELS} channels, and for each channel one opening in force and one to come.
final class VmbusServer {
  /// Relids are 1 to this: one event flag each.
  static final int MOST_CHANNELS = 2047;

  private static final int DEFAULT_SOURCE = 2;
  private static final int SOURCES = 16;
  private static final int NO_INTERRUPTS = -1;

  /// No version of the protocol.
  private static final int NO_VERSION = 0;

  private final int processorCount;
  private final GpadlTable gpadls;
  private final Map<Integer, OfferedChannel> channels = new TreeMap<>();
  private final Map<Integer, OfferedChannel> byRelid = new HashMap<>();
  private List<VmbusAction> actions = new ArrayList<>();
  private @Nullable Contact contact;
  private boolean offersRequested;
  private @Nullable Closing closing;

  /// Where the messages of the last contact went, be it over or not.
  private @Nullable Contact lastTarget;

  private int nextNumber;
  private long ignored;

  /// @param processorCount virtual processors of the partition
  /// @param isRam whether a page frame number is RAM
  VmbusServer(int processorCount, LongPredicate isRam) {
    this.processorCount = processorCount;
    this.gpadls = new GpadlTable(isRam);
  }

  private List<VmbusAction> take() {
    var taken = actions;
    actions = new ArrayList<>();
    return taken;
  }

  private void send(byte[] message) {
    if (contact != null) {
      sendTo(contact.processor(), contact.source(), message);
    }
  }

  private void sendTo(int processor, int source, byte[] message) {
    actions.add(new VmbusAction.Send(processor, source, message));
  }

  /// Messages that made no sense and were ignored.
  long ignored() {
    return ignored;
  }

  /// The contact in force, or null.
  @Nullable Contact contact() {
    return contact;
  }

  /// The GPADL of a channel, or null if it has no such one, or one that is being torn down.
  ///
  /// @param channel the offer's number
  @Nullable Gpadl gpadl(int channel, int id) {
    var entry = channels.get(channel);
    return entry == null || entry.tearingDown.contains(id) ? null : entry.gpadls.get(id);
  }

  // --- the host's side ---

  /// What came of an offer.
  ///
  /// @param channel the offer's number, for all further calls
  record Offered(int channel, List<VmbusAction> actions) {}

  /// Offers a channel.
  ///
  /// @throws IllegalStateException if {@link #MOST_CHANNELS} are offered already, or this one is
  Offered offer(Offer offer) {
    if (channels.size() >= MOST_CHANNELS) {
      throw new IllegalStateException("the bus has " + MOST_CHANNELS + " channels already");
    }
    for (var entry : channels.values()) {
      if (!entry.revoked
          && entry.offer.instanceId().equals(offer.instanceId())
          && entry.offer.subChannel() == offer.subChannel()) {
        throw new IllegalStateException(
            "sub-channel %d of %s is offered already"
                .formatted(offer.subChannel(), offer.instanceId()));
      }
    }
    var entry = new OfferedChannel(nextNumber++, offer);
    channels.put(entry.number, entry);
    if (offersRequested) {
      sendOffer(entry);
    }
    return new Offered(entry.number, take());
  }

  private void sendOffer(OfferedChannel entry) {
    int relid = 1;
    while (byRelid.containsKey(relid)) {
      relid++;
    }
    entry.relid = relid;
    byRelid.put(relid, entry);
    send(VmbusMessages.offer(relid, entry.offer));
  }

  /// Takes an offer back, as when a device is pulled out.
  List<VmbusAction> revoke(int channel) {
    var entry = channels.get(channel);
    if (entry == null || entry.revoked) {
      return List.of();
    }
    entry.revoked = true;
    if (entry.relid == 0) {
      entry.released = true;
    } else if (!entry.released) {
      send(VmbusMessages.rescind(entry.relid));
    }
    refuseNextOpening(entry);
    close(entry);
    removeIfDone(entry);
    return take();
  }

  /// The device has let go of all memory of a channel, after {@link VmbusAction.Close}.
  List<VmbusAction> closed(int channel) {
    var entry = channels.get(channel);
    if (entry == null || !entry.closing) {
      return List.of();
    }
    entry.closing = false;
    for (int gpadl : List.copyOf(entry.tearingDown)) {
      finishTearDown(entry, gpadl);
    }
    finishRelease(entry);
    var next = entry.nextOpening;
    if (next != null) {
      entry.nextOpening = null;
      finishOpen(entry, next);
    }
    finishReset();
    return take();
  }

  /// The device has let go of a GPADL's memory, after {@link VmbusAction.TearDown}.
  List<VmbusAction> tornDown(int channel, int gpadl) {
    var entry = channels.get(channel);
    if (entry != null && entry.tearingDown.contains(gpadl)) {
      finishTearDown(entry, gpadl);
    }
    return take();
  }

  private void close(OfferedChannel entry) {
    if (entry.opening != null) {
      entry.opening = null;
      entry.closing = true;
      actions.add(new VmbusAction.Close(entry.number));
    }
  }

  private void removeIfDone(OfferedChannel entry) {
    if (entry.revoked && entry.released && entry.isClosed()) {
      forgetGpadls(entry);
      channels.remove(entry.number);
      if (entry.relid != 0) {
        byRelid.remove(entry.relid);
      }
    }
  }

  private void forgetGpadls(OfferedChannel entry) {
    entry.tearingDown.clear();
    gpadls.clear(entry).forEach(this::send);
  }

  // --- the guest's side ---

  /// Whether a message may be taken although the answers to earlier ones have not been fetched.
  static boolean isUrgent(byte[] message) {
    if (message.length < MessageType.HEADER_SIZE) {
      return false;
    }
    int number = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN).getInt();
    return number == MessageType.INITIATE_CONTACT.number || number == MessageType.UNLOAD.number;
  }

  /// Takes a message from the guest.
  ///
  /// @param message any bytes
  List<VmbusAction> receive(byte[] message) {
    var in = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
    var type = message.length < MessageType.HEADER_SIZE ? null : MessageType.of(in.getInt());
    if (type == null || message.length < type.size) {
      ignored++;
      return List.of();
    }
    in.position(MessageType.HEADER_SIZE);
    switch (type) {
      case INITIATE_CONTACT -> initiateContact(in);
      case UNLOAD -> {
        var target = lastTarget != null ? lastTarget : new Contact(NO_VERSION, 0, DEFAULT_SOURCE);
        reset(new Closing(true, target));
      }
      default -> {
        if (contact == null || closing != null) {
          ignored++;
        } else {
          receiveInContact(type, in);
        }
      }
    }
    return take();
  }

  private void receiveInContact(MessageType type, ByteBuffer in) {
    switch (type) {
      case REQUEST_OFFERS -> requestOffers();
      case OPEN_CHANNEL -> open(in);
      case CLOSE_CHANNEL -> closeChannel(in.getInt());
      case GPADL_HEADER -> gpadlHeader(in);
      case GPADL_BODY -> gpadlBody(in);
      case GPADL_TEARDOWN -> gpadlTearDown(in.getInt(), in.getInt());
      case RELID_RELEASED -> relidReleased(in.getInt());
      case MODIFY_CHANNEL -> modify(in.getInt(), in.getInt());
      case TL_CONNECT_REQUEST -> tlConnect(in);
      case OPEN_RESERVED_CHANNEL -> openReserved(in);
      case CLOSE_RESERVED_CHANNEL -> closeReserved(in);
      default -> ignored++;
    }
  }

  /// Before 3.0 messages go to processor 0 whatever the message says. Before 5.0 the interrupt
  /// source is fixed: its place is the address of a page for interrupts that none of these versions
  /// uses.
  private void initiateContact(ByteBuffer in) {
    int version = in.getInt();
    int processor = in.getInt();
    int source = in.get() & 0xFF;
    int level = in.get() & 0xFF;
    reset(
        new Closing(
            false,
            new Contact(
                // There is no other virtual trust level, and so no bus that this is meant for.
                isSince(version, ProtocolVersion.V5_1) && level != 0 ? NO_VERSION : version,
                isSince(version, ProtocolVersion.V3_0) ? processorOrFirst(processor) : 0,
                isSince(version, ProtocolVersion.V5_0)
                    ? sourceOrDefault(source)
                    : DEFAULT_SOURCE)));
  }

  private static boolean isSince(int version, int first) {
    return Integer.compareUnsigned(version, first) >= 0;
  }

  private int processorOrFirst(int processor) {
    return processor < 0 || processor >= processorCount ? 0 : processor;
  }

  private static int sourceOrDefault(int source) {
    return source <= 0 || source >= SOURCES ? DEFAULT_SOURCE : source;
  }

  /// Whether the contact in force is of a version or a later one.
  private boolean speaks(int version) {
    return contact != null && isSince(contact.version(), version);
  }

  /// Ends the contact, and answers when all channels are closed. Of several requests before that
  /// only the last is answered.
  private void reset(Closing next) {
    // Nobody waits for what the guest has not fetched of the contact before, and one that fetches
    // nothing and only resets would otherwise pile up answers.
    var earlier = lastTarget;
    lastTarget = next.contact();
    if (earlier != null) {
      actions.add(new VmbusAction.Discard(earlier.processor(), earlier.source()));
    }
    contact = null;
    offersRequested = false;
    closing = next;
    for (var entry : List.copyOf(channels.values())) {
      entry.nextOpening = null;
      close(entry);
      forgetGpadls(entry);
      entry.relid = 0;
      entry.released = entry.revoked;
      removeIfDone(entry);
    }
    byRelid.clear();
    finishReset();
  }

  private void finishReset() {
    var done = closing;
    if (done == null || channels.values().stream().anyMatch(entry -> entry.closing)) {
      return;
    }
    closing = null;
    contact = done.contact();
    if (done.unload()) {
      send(VmbusMessages.unloadResponse());
      contact = null;
    } else {
      int version = done.contact().version();
      if (ProtocolVersion.supported(version)) {
        send(VmbusMessages.versionResponse(version));
      } else {
        send(VmbusMessages.versionNotSupported());
        contact = null;
      }
    }
  }

  private void requestOffers() {
    // Asked a second time, the guest knows them already; but it waits for the end of the list.
    if (!offersRequested) {
      offersRequested = true;
      for (var entry : channels.values()) {
        if (!entry.revoked) {
          sendOffer(entry);
        }
      }
    }
    send(VmbusMessages.allOffersDelivered());
  }

  private void open(ByteBuffer in) {
    int relid = in.getInt();
    int openId = in.getInt();
    int gpadlId = in.getInt();
    int processor = in.getInt();
    int downstreamPage = in.getInt();
    var userData = new byte[Offer.USER_DEFINED_SIZE];
    in.get(userData);
    var entry = byRelid.get(relid);
    var gpadl = entry == null ? null : gpadl(entry.number, gpadlId);
    if (entry == null
        || gpadl == null
        || entry.revoked
        || entry.released
        || entry.opening != null
        || entry.nextOpening != null
        || !validTarget(processor)
        || !Opening.possible(gpadl, downstreamPage)) {
      send(VmbusMessages.openResult(relid, openId, VmbusMessages.STATUS_UNSUCCESSFUL));
      return;
    }
    var opening =
        new Opening(
            relid,
            openId,
            gpadl,
            downstreamPage,
            processor == NO_INTERRUPTS ? Opening.NO_PROCESSOR : processor,
            userData);
    if (entry.closing) {
      entry.nextOpening = opening;
    } else {
      finishOpen(entry, opening);
    }
  }

  private boolean validTarget(int processor) {
    return processor == NO_INTERRUPTS || processor >= 0 && processor < processorCount;
  }

  private void finishOpen(OfferedChannel entry, Opening opening) {
    if (gpadl(entry.number, opening.ring().id()) == null) {
      // Torn down while it waited.
      send(
          VmbusMessages.openResult(
              opening.relid(), opening.openId(), VmbusMessages.STATUS_UNSUCCESSFUL));
      return;
    }
    entry.opening = opening;
    // First the answer: the guest expects it before the device's first packet.
    send(VmbusMessages.openResult(opening.relid(), opening.openId(), VmbusMessages.STATUS_SUCCESS));
    actions.add(new VmbusAction.Open(entry.number, opening));
  }

  private void closeChannel(int relid) {
    var entry = byRelid.get(relid);
    if (entry == null || entry.opening == null && entry.nextOpening == null) {
      ignored++;
      return;
    }
    refuseNextOpening(entry);
    close(entry);
  }

  /// Nobody listens for sockets.
  private void tlConnect(ByteBuffer in) {
    if (speaks(ProtocolVersion.V4_1)) {
      var ids = new byte[32];
      in.get(ids);
      send(VmbusMessages.tlConnectResult(ids, VmbusMessages.STATUS_CONNECTION_REFUSED));
    } else {
      // There is no answer in these versions.
      ignored++;
    }
  }

  /// No channel is offered as reserved (for use without a contact, as in a crash): none is opened
  /// so. The answer goes where the request says.
  private void openReserved(ByteBuffer in) {
    int relid = in.getInt();
    int processor = processorOrFirst(in.getInt());
    int source = sourceOrDefault(in.getInt());
    sendTo(
        processor, source, VmbusMessages.openResult(relid, 0, VmbusMessages.STATUS_UNSUCCESSFUL));
  }

  private void closeReserved(ByteBuffer in) {
    int relid = in.getInt();
    int processor = processorOrFirst(in.getInt());
    int source = sourceOrDefault(in.getInt());
    sendTo(processor, source, VmbusMessages.closeReservedResponse(relid));
  }

  // --- GPADLs ---

  private void gpadlHeader(ByteBuffer in) {
    int relid = in.getInt();
    int id = in.getInt();
    int size = in.getShort() & 0xFFFF;
    int rangeCount = in.getShort() & 0xFFFF;
    var entry = byRelid.get(relid);
    // A guest that is at it when the offer is taken back learns of that from the rescind.
    if (entry == null || entry.released) {
      send(VmbusMessages.gpadlCreated(relid, id, VmbusMessages.STATUS_UNSUCCESSFUL));
    } else {
      send(gpadls.begin(entry, id, size, rangeCount, in));
    }
  }

  private void gpadlBody(ByteBuffer in) {
    in.getInt(); // its number among the bodies; they come in order
    int id = in.getInt();
    if (gpadls.isPartial(id)) {
      send(gpadls.add(id, in));
    } else {
      ignored++;
    }
  }

  private void send(GpadlTable.@Nullable Created created) {
    if (created != null) {
      send(VmbusMessages.gpadlCreated(created.channel().relid, created.id(), created.status()));
    }
  }

  /// A ring's memory goes when the device has let go of it: without being closed before, its
  /// channel is closed by this.
  private void gpadlTearDown(int relid, int id) {
    send(gpadls.refuse(id));
    var entry = byRelid.get(relid);
    if (entry == null || !entry.gpadls.containsKey(id)) {
      // Nothing is kept, and the guest waits for the answer.
      send(VmbusMessages.gpadlTorndown(id));
      return;
    }
    if (!entry.tearingDown.add(id)) {
      ignored++;
      return;
    }
    if (entry.isClosed()) {
      finishTearDown(entry, id);
    } else if (entry.opening != null) {
      if (entry.opening.ring().id() == id) {
        close(entry);
      } else {
        actions.add(new VmbusAction.TearDown(entry.number, id));
      }
    }
    // Else it is closing, and goes with the rest.
  }

  private void finishTearDown(OfferedChannel entry, int id) {
    entry.tearingDown.remove(id);
    if (gpadls.remove(entry, id)) {
      send(VmbusMessages.gpadlTorndown(id));
    }
  }

  /// The guest forgets a channel: after a rescind, or by itself, as Linux does with sub-channels
  /// when it closes a device. It does not wait for the device; the relid does.
  private void relidReleased(int relid) {
    var entry = byRelid.get(relid);
    if (entry == null || entry.released || !entry.revoked && entry.opening != null) {
      ignored++;
      return;
    }
    entry.released = true;
    refuseNextOpening(entry);
    finishRelease(entry);
  }

  /// A channel that is not revoked is offered again to the guest's next contact.
  private void finishRelease(OfferedChannel entry) {
    if (!entry.released || !entry.isClosed()) {
      return;
    }
    if (entry.revoked) {
      removeIfDone(entry);
    } else if (entry.relid != 0) {
      forgetGpadls(entry);
      byRelid.remove(entry.relid);
      entry.relid = 0;
    }
  }

  private void refuseNextOpening(OfferedChannel entry) {
    var next = entry.nextOpening;
    if (next != null) {
      entry.nextOpening = null;
      send(
          VmbusMessages.openResult(next.relid(), next.openId(), VmbusMessages.STATUS_UNSUCCESSFUL));
    }
  }

  /// Interrupts that an opening switched off stay off, and none are switched off by this. A guest
  /// of a version before 5.3 does not hear what came of it.
  private void modify(int relid, int processor) {
    if (!speaks(ProtocolVersion.V4_1)) {
      ignored++;
      return;
    }
    var entry = byRelid.get(relid);
    int status = VmbusMessages.STATUS_UNSUCCESSFUL;
    if (entry != null
        && entry.opening != null
        && entry.opening.processor() != Opening.NO_PROCESSOR
        && processor != NO_INTERRUPTS
        && validTarget(processor)) {
      entry.opening = entry.opening.withProcessor(processor);
      actions.add(new VmbusAction.Retarget(entry.number, processor));
      status = VmbusMessages.STATUS_SUCCESS;
    }
    if (speaks(ProtocolVersion.V5_3)) {
      send(VmbusMessages.modifyChannelResponse(relid, status));
    }
  }

  // --- saved state ---

  VmbusServerState state() {
    var saved = new ArrayList<VmbusServerState.Channel>();
    for (var entry : channels.values()) {
      saved.add(
          new VmbusServerState.Channel(
              entry.offer.instanceId(),
              entry.offer.subChannel(),
              entry.relid,
              entry.revoked,
              entry.released,
              entry.closing,
              entry.opening,
              entry.nextOpening,
              List.copyOf(entry.gpadls.values()),
              List.copyOf(entry.tearingDown)));
    }
    return new VmbusServerState(contact, offersRequested, closing, saved, gpadls.partials());
  }

  /// Takes a state over, of a bus with the same offers; to be called before anything else than
  /// {@link #offer}. A channel that the guest knows and that is not offered any more is rescinded.
  ///
  /// @return what brings the devices to where they were
  /// @throws IllegalArgumentException if the state is impossible here
  List<VmbusAction> restore(VmbusServerState state) {
    contact = state.contact();
    lastTarget = contact;
    offersRequested = state.offersRequested();
    closing = state.closing();
    if (closing != null) {
      lastTarget = closing.contact();
    }
    for (var saved : state.channels()) {
      restoreChannel(saved);
    }
    for (var saved : state.partialGpadls()) {
      gpadls.restore(byRelid.get(saved.relid()), saved);
    }
    if (offersRequested) {
      for (var entry : List.copyOf(channels.values())) {
        if (entry.relid == 0 && !entry.released && !entry.closing) {
          sendOffer(entry);
        }
      }
    }
    finishReset();
    return take();
  }

  private void restoreChannel(VmbusServerState.Channel saved) {
    OfferedChannel entry = null;
    for (var candidate : channels.values()) {
      if (candidate.relid == 0
          && !candidate.revoked
          && candidate.offer.instanceId().equals(saved.instanceId())
          && candidate.offer.subChannel() == saved.subChannel()) {
        entry = candidate;
      }
    }
    boolean gone = entry == null || saved.revoked();
    if (entry == null || gone) {
      // Kept for its relid, and for the messages that are still due.
      var plain = Offer.plain(saved.instanceId(), saved.instanceId());
      entry = new OfferedChannel(nextNumber++, plain.withSubChannel(saved.subChannel()));
      channels.put(entry.number, entry);
    }
    var channel = entry;
    entry.relid = saved.relid();
    if (entry.relid < 0
        || entry.relid > MOST_CHANNELS
        || entry.relid != 0 && byRelid.putIfAbsent(entry.relid, entry) != null) {
      throw new IllegalArgumentException("saved relid %d".formatted(entry.relid));
    }
    entry.revoked = saved.revoked();
    entry.released = saved.released();
    entry.opening = saved.opening();
    entry.nextOpening = saved.nextOpening();
    entry.tearingDown.addAll(saved.tearingDown());
    saved.gpadls().forEach(gpadl -> gpadls.restore(channel, gpadl));
    var opening = entry.opening;
    if (saved.closing()) {
      entry.closing = true;
      actions.add(new VmbusAction.Close(entry.number));
    } else if (opening != null) {
      if (gone) {
        revokeRestored(entry);
      } else {
        actions.add(new VmbusAction.Open(entry.number, opening));
        for (int gpadl : entry.tearingDown) {
          if (gpadl != opening.ring().id()) {
            actions.add(new VmbusAction.TearDown(entry.number, gpadl));
          }
        }
      }
    } else if (gone && !entry.revoked) {
      revokeRestored(entry);
    }
    removeIfDone(entry);
  }

  private void revokeRestored(OfferedChannel entry) {
    entry.revoked = true;
    entry.nextOpening = null;
    if (entry.relid == 0) {
      entry.released = true;
    } else {
      send(VmbusMessages.rescind(entry.relid));
    }
    close(entry);
  }
}
