package dev.partita.network.vswitch;

import dev.partita.hypervisor.TimeSource;
import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.MacAddress;
import dev.partita.network.Port;
import dev.partita.network.Segmenter;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/// A port of a virtual switch.
public final class SwitchPort implements Port {
  private final VirtualSwitch owner;
  private final int number;
  private final String name;
  private final Endpoint endpoint;
  private final PortCounters counters = new PortCounters();
  private final Sessions sessions = new Sessions();
  private final Set<SwitchPort> waiting = ConcurrentHashMap.newKeySet();
  private final AtomicBoolean touched = new AtomicBoolean();
  private final TimeSource.Timer outboundTimer;
  private final TimeSource.Timer inboundTimer;
  private volatile PortSettings settings;
  private volatile @Nullable TokenBucket outbound;
  private volatile @Nullable TokenBucket inbound;
  private volatile List<FrameTap> taps = List.of();
  private volatile boolean up = true;

  SwitchPort(
      VirtualSwitch owner, int number, String name, Endpoint endpoint, PortSettings settings) {
    this.owner = owner;
    this.number = number;
    this.name = name;
    this.endpoint = endpoint;
    this.settings = settings;
    outboundTimer = owner.time().timer(endpoint::resume);
    inboundTimer = owner.time().timer(this::ready);
    limit(settings);
  }

  private void limit(PortSettings settings) {
    long now = owner.time().nanoTime();
    outbound =
        settings.outboundLimit() == 0 ? null : new TokenBucket(settings.outboundLimit(), now);
    inbound = settings.inboundLimit() == 0 ? null : new TokenBucket(settings.inboundLimit(), now);
  }

  /// The port's name, unique in its switch.
  public String name() {
    return name;
  }

  int number() {
    return number;
  }

  /// How the switch treats it.
  public PortSettings settings() {
    return settings;
  }

  /// Changes how the switch treats it, from the next frame on. Ways that stateful rules have opened
  /// are closed when the rules change.
  ///
  /// @throws IllegalArgumentException if the role changes, or another port has the address
  public void configure(PortSettings changed) {
    owner.configure(this, changed);
  }

  void apply(PortSettings changed) {
    boolean limits =
        changed.outboundLimit() != settings.outboundLimit()
            || changed.inboundLimit() != settings.inboundLimit();
    if (!changed.rules().equals(settings.rules())) {
      sessions.clear();
    }
    settings = changed;
    if (limits) {
      limit(changed);
      ready();
      endpoint.resume();
    }
  }

  /// What passed.
  public PortCounters counters() {
    return counters;
  }

  Sessions sessions() {
    return sessions;
  }

  /// Sees every frame that passes the port, in both directions, until it is removed.
  public void addTap(FrameTap tap) {
    synchronized (this) {
      taps =
          java.util.stream.Stream.concat(taps.stream(), java.util.stream.Stream.of(tap)).toList();
    }
  }

  /// Removes what was added.
  public void removeTap(FrameTap tap) {
    synchronized (this) {
      taps = taps.stream().filter(t -> t != tap).toList();
    }
  }

  @Override
  public boolean up() {
    return up;
  }

  /// Takes the link up or down. Frames from and to a port whose link is down are dropped.
  public void setUp(boolean up) {
    if (owner.setUp(this, up)) {
      endpoint.linkChanged(up);
      ready();
    }
  }

  boolean changeUp(boolean up) {
    boolean changed = this.up != up;
    this.up = up;
    return changed;
  }

  @Override
  public Outcome send(Frame frame) {
    return send(frame, true);
  }

  @Override
  public Outcome sendOrDrop(Frame frame) {
    return send(frame, false);
  }

  private Outcome send(Frame frame, boolean keeps) {
    if (!up) {
      counters.drop(DropReason.LINK_DOWN);
      return Outcome.TAKEN;
    }
    var limit = outbound;
    long now = owner.time().nanoTime();
    if (limit != null && !limit.passes(now)) {
      counters.throttle();
      outboundTimer.arm(now + limit.closedFor(now));
      return Outcome.THROTTLED;
    }
    frame.takeTag();
    var headers = Headers.of(frame);
    if (frame.segmentSize() != 0) {
      if (!Segmenter.isWhole(headers)) {
        counters.drop(DropReason.MALFORMED);
        return Outcome.TAKEN;
      }
      Segmenter.writeLengths(headers);
    }
    int length = frame.length();
    boolean group = length >= Frame.HEADER && MacAddress.isGroup(frame.destination());
    var outcome = owner.forward(this, headers, keeps, now);
    if (outcome == Outcome.TAKEN) {
      counters.out(length, group);
      if (limit != null) {
        limit.take(length);
      }
    }
    return outcome;
  }

  void showOutbound(Frame frame) {
    for (var tap : taps) {
      tap.frame(this, frame, true);
    }
  }

  /// Gives a frame to the endpoint.
  ///
  /// @param sender waits for room if there is none, or nothing if nobody does
  /// @return false if there was no room
  boolean deliver(Frame frame, int vlan, @Nullable SwitchPort sender, long now) {
    int tag = frame.tag();
    var limit = inbound;
    if (limit != null && !limit.passes(now)) {
      refuse(sender, DropReason.LIMIT);
      inboundTimer.arm(now + limit.closedFor(now));
      return false;
    }
    int priority = tag == Frame.NO_TAG ? 0 : tag & 0xe000;
    frame.tag(settings.vlan().untagged() == vlan ? Frame.NO_TAG : priority | vlan);
    boolean taken;
    try {
      int length = frame.length();
      boolean group = MacAddress.isGroup(frame.destination());
      touched.set(true);
      switch (owner.conversion().deliver(frame, endpoint)) {
        case TAKEN -> {
          counters.in(length, group);
          if (limit != null) {
            limit.take(length);
          }
          for (var tap : taps) {
            tap.frame(this, frame, false);
          }
          taken = true;
        }
        case TOO_LONG -> {
          counters.drop(DropReason.TOO_LONG);
          taken = true;
        }
        default -> {
          refuse(sender, DropReason.NO_ROOM);
          taken = false;
        }
      }
    } finally {
      frame.tag(tag);
    }
    return taken;
  }

  private void refuse(@Nullable SwitchPort sender, DropReason reason) {
    if (sender == null) {
      counters.drop(reason);
    } else {
      counters.refuse();
      waiting.add(sender);
    }
  }

  @Override
  public void endBatch() {
    owner.endBatch();
  }

  void endDeliveries() {
    if (touched.get() && touched.getAndSet(false)) {
      endpoint.endBatch();
    }
  }

  @Override
  public void ready() {
    for (var sender : waiting) {
      if (waiting.remove(sender)) {
        sender.endpoint.resume();
      }
    }
  }

  @Override
  public void close() {
    outboundTimer.cancel();
    inboundTimer.cancel();
    owner.disconnect(this);
    ready();
  }

  @Override
  public String toString() {
    return owner.name() + "/" + name;
  }
}
