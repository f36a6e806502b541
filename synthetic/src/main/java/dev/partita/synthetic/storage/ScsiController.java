package dev.partita.synthetic.storage;

import dev.partita.synthetic.storage.StorageState.Phase;
import dev.partita.vmbus.Channel;
import dev.partita.vmbus.ChannelHandler;
import dev.partita.vmbus.Offer;
import dev.partita.vmbus.VmbusDevice;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/// The synthetic SCSI controller: up to {@link #UNITS} units on one target, reached through a
/// channel and, if the guest wants them, sub-channels. Any thread.
///
/// The protocol is that of Linux, `drivers/scsi/storvsc_drv.c`. A request is taken from the ring,
/// answered at once or handed to a thread, and completed whenever it is done; any number up to
/// {@link ControllerChannel#MOST_REQUESTS} is under way on a channel.
public final class ScsiController implements VmbusDevice {
  /// LUNs 0 to 63, as Hyper-V's controllers have.
  public static final int UNITS = 64;

  /// Bytes a request may transfer, as Hyper-V says.
  static final int MOST_TRANSFER = 0x4_0000;

  private static final UUID INTERFACE = UUID.fromString("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");

  private final Offer offer;
  private final int subChannels;
  private final Executor threads;
  private final Map<Integer, LogicalUnit> units = new ConcurrentSkipListMap<>();
  private final Map<Integer, ControllerChannel> channels = new ConcurrentHashMap<>();

  // Guarded by this object's monitor.
  private Phase phase = Phase.CLOSED;
  private int version;
  private boolean rescanDue;
  private final Set<Integer> departed = new TreeSet<>();
  private final Map<Integer, StorageState.ChannelState> restored = new TreeMap<>();

  /// @param instance which controller of the partition it is
  /// @param subChannels that the guest may have besides the first channel
  /// @param threads for requests that may wait
  public ScsiController(UUID instance, int subChannels, Executor threads) {
    this.offer = Offer.plain(INTERFACE, instance);
    this.subChannels = subChannels;
    this.threads = threads;
  }

  @Override
  public Offer offer() {
    return offer;
  }

  @Override
  public ChannelHandler open(Channel channel) {
    return open(Line.of(channel));
  }

  ControllerChannel open(Line channel) {
    int index = channel.subChannel();
    StorageState.ChannelState saved;
    synchronized (this) {
      saved = channel.restored() ? restored.remove(index) : null;
      if (index == 0 && !channel.restored()) {
        phase = Phase.CLOSED;
        rescanDue = false;
        departed.clear();
      }
    }
    var handler =
        new ControllerChannel(
            this,
            channel,
            threads,
            saved == null ? new StorageState.ChannelState(index, List.of(), List.of()) : saved);
    channels.put(index, handler);
    return handler;
  }

  void closed(int index, ControllerChannel channel) {
    channels.remove(index, channel);
    if (index == 0) {
      synchronized (this) {
        phase = Phase.CLOSED;
      }
    }
  }

  // --- units ---

  /// Plugs a unit in; the guest is told.
  ///
  /// @param lun 0 to 63
  /// @throws IllegalStateException if there is one
  public void attach(int lun, LogicalUnit unit) {
    if (lun < 0 || lun >= UNITS) {
      throw new IllegalArgumentException("LUN " + lun);
    }
    if (units.putIfAbsent(lun, unit) != null) {
      throw new IllegalStateException("there is a unit at LUN " + lun);
    }
    synchronized (this) {
      departed.remove(lun);
    }
    rescan();
  }

  /// Flushes a unit and pulls it out; the guest is told. When this returns, no request uses it any
  /// more.
  public @Nullable LogicalUnit detach(int lun) {
    var unit = units.remove(lun);
    if (unit != null) {
      unit.requests().end();
      if (unit.flush().isGood()) {
        synchronized (this) {
          departed.add(lun);
        }
      }
      rescan();
    }
    return unit;
  }

  /// Whether a unit was pulled out there, all it was given on its medium. Linux flushes a disk when
  /// it has learned that it is gone, and takes a refusal for lost data.
  synchronized boolean isDeparted(int lun) {
    return departed.contains(lun);
  }

  @Nullable LogicalUnit unit(int lun) {
    return units.get(lun);
  }

  List<Integer> luns() {
    return List.copyOf(units.keySet());
  }

  private void rescan() {
    synchronized (this) {
      if (phase != Phase.READY) {
        return; // it has yet to look for the first time
      }
      rescanDue = true;
    }
    tellRescan();
  }

  /// Tells the guest that units came or went, if it is to be told and there is room.
  void tellRescan() {
    var first = channels.get(0);
    if (first == null) {
      return;
    }
    synchronized (this) {
      if (rescanDue) {
        var packet = VstorPacket.empty(VstorLayout.ENUMERATE_BUS, VstorLayout.STATUS_SUCCESS);
        rescanDue = !first.send(packet);
      }
    }
  }

  /// Resets units, when what they are doing is done.
  ///
  /// @param lun of one unit, or -1 for all
  void reset(int lun) {
    var all = new ArrayList<LogicalUnit>();
    units.forEach(
        (each, unit) -> {
          if (lun < 0 || each == lun) {
            all.add(unit);
          }
        });
    for (var unit : all) {
      unit.requests().hold();
      unit.reset();
      unit.requests().release();
    }
  }

  // --- negotiation ---

  /// Answers a packet of the negotiation.
  ///
  /// @param first whether it came on the first channel
  /// @return the status, or the whole answer
  synchronized byte[] negotiate(int operation, ByteBuffer packet, boolean first) {
    if (!first) {
      return VstorPacket.empty(VstorLayout.COMPLETE_IO, VstorLayout.STATUS_INVALID_DEVICE_REQUEST);
    }
    int status = VstorLayout.STATUS_INVALID_DEVICE_STATE;
    switch (operation) {
      case VstorLayout.BEGIN_INITIALIZATION -> {
        phase = Phase.BEGUN;
        version = 0;
        status = VstorLayout.STATUS_SUCCESS;
      }
      case VstorLayout.QUERY_PROTOCOL_VERSION -> {
        if (phase == Phase.BEGUN) {
          int wanted = packet.getShort(VstorLayout.BODY) & 0xFFFF;
          status = VstorLayout.STATUS_REVISION_MISMATCH;
          if (wanted == VstorLayout.WINDOWS_10
              || wanted == VstorLayout.WINDOWS_8_1
              || wanted == VstorLayout.WINDOWS_8) {
            version = wanted;
            phase = Phase.VERSIONED;
            status = VstorLayout.STATUS_SUCCESS;
          }
          return VstorPacket.version(status, wanted);
        }
      }
      case VstorLayout.QUERY_PROPERTIES -> {
        if (phase == Phase.VERSIONED) {
          phase = Phase.DESCRIBED;
          return VstorPacket.properties(subChannels, MOST_TRANSFER);
        }
      }
      case VstorLayout.END_INITIALIZATION -> {
        if (phase == Phase.DESCRIBED) {
          phase = Phase.READY;
          status = VstorLayout.STATUS_SUCCESS;
        }
      }
      default -> status = VstorLayout.STATUS_INVALID_DEVICE_REQUEST;
    }
    return VstorPacket.empty(VstorLayout.COMPLETE_IO, status);
  }

  /// Whether the guest may have so many sub-channels now.
  synchronized boolean allowsSubChannels(int count) {
    return (phase == Phase.DESCRIBED || phase == Phase.READY) && count <= subChannels;
  }

  synchronized boolean isReady() {
    return phase == Phase.READY;
  }

  /// The version of the protocol that was agreed on, or 0.
  synchronized int version() {
    return version;
  }

  /// Requests under way, which touch the guest's memory.
  public int underWay() {
    return channels.values().stream().mapToInt(ControllerChannel::underWay).sum();
  }

  // --- saved state ---

  /// The state. Only while the bus is paused.
  public synchronized StorageState state() {
    var unitStates = new TreeMap<Integer, UnitState>();
    units.forEach((lun, unit) -> unitStates.put(lun, unit.state()));
    var channelStates = new ArrayList<StorageState.ChannelState>();
    channels.forEach(
        (_, channel) -> {
          var left = channel.state();
          if (!left.isEmpty()) {
            channelStates.add(left);
          }
        });
    channelStates.addAll(restored.values());
    return new StorageState(phase, version, rescanDue, departed, unitStates, channelStates);
  }

  /// Takes a state over, before the bus does, with the same units attached.
  ///
  /// @throws IllegalArgumentException if the units are others
  public synchronized void restore(StorageState state) {
    if (!state.units().keySet().equals(units.keySet())) {
      throw new IllegalArgumentException(
          "saved with units at LUNs %s, restored with %s"
              .formatted(state.units().keySet(), units.keySet()));
    }
    state
        .units()
        .forEach((lun, saved) -> java.util.Objects.requireNonNull(units.get(lun)).restore(saved));
    phase = state.phase();
    version = state.version();
    rescanDue = state.rescanDue();
    departed.clear();
    departed.addAll(state.departed());
    restored.clear();
    for (var channel : state.channels()) {
      restored.put(channel.subChannel(), channel);
    }
  }
}
