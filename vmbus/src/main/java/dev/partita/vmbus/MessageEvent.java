package dev.partita.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// A message of the control plane, for the flight recorder. There are few.
@Name("dev.partita.vmbus.Message")
@Label("VMBus Message")
@Category({"Partita", "VMBus"})
@StackTrace(false)
final class MessageEvent extends Event {
  @Label("From Guest")
  boolean fromGuest;

  @Label("Message")
  String message = "";

  @Label("First Field")
  int field;

  @Label("Bytes")
  @DataAmount
  int bytes;

  static void fromGuest(byte[] message) {
    tell(true, message);
  }

  static void toGuest(byte[] message) {
    tell(false, message);
  }

  private static void tell(boolean fromGuest, byte[] message) {
    var event = new MessageEvent();
    if (event.shouldCommit()) {
      var in = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
      int number = message.length < Integer.BYTES ? -1 : in.getInt(0);
      var type = MessageType.of(number);
      event.fromGuest = fromGuest;
      event.message = type == null ? Integer.toString(number) : type.name();
      // A relid, mostly.
      event.field =
          message.length < MessageType.HEADER_SIZE + Integer.BYTES
              ? 0
              : in.getInt(MessageType.HEADER_SIZE);
      event.bytes = message.length;
      event.commit();
    }
  }
}
