package dev.partita.vmbus;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// A packet in a channel's ring, for the flight recorder. Off unless a recording asks for it: there
/// may be hundreds of thousands a second.
@Name("dev.partita.vmbus.Packet")
@Label("VMBus Packet")
@Category({"Partita", "VMBus"})
@Description("A packet; of one from the guest, the time its device took for it")
@Enabled(false)
@StackTrace(false)
final class PacketEvent extends Event {
  @Label("Device")
  String device = "";

  @Label("Sub-channel")
  int subChannel;

  @Label("From Guest")
  boolean fromGuest;

  @Label("Type")
  int type;

  @Label("Transaction")
  long transaction;

  @Label("Bytes")
  @DataAmount
  int bytes;

  static PacketEvent started() {
    var event = new PacketEvent();
    event.begin();
    return event;
  }

  static void sent(Channel channel, int type, long transaction, int bytes) {
    var event = new PacketEvent();
    if (event.shouldCommit()) {
      event.fill(channel, type, transaction, bytes);
      event.commit();
    }
  }

  void received(Channel channel, Packet packet, int bytes) {
    end();
    if (shouldCommit()) {
      fromGuest = true;
      fill(channel, packet.type(), packet.transactionId(), bytes);
      commit();
    }
  }

  private void fill(Channel channel, int type, long transaction, int bytes) {
    device = InterfaceNames.of(channel.offer().interfaceId());
    subChannel = channel.offer().subChannel();
    this.type = type;
    this.transaction = transaction;
    this.bytes = bytes;
  }
}
