package dev.partita.synthetic.integration;

import dev.partita.synthetic.internal.TestLine;
import dev.partita.vmbus.ChannelHandler;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;

/// A guest's driver of an integration service, in the test's own thread. Offsets are those of a
/// packet's payload: a pipe header of 8 bytes, then `struct icmsg_hdr`, then the body at 28.
final class TestDriver {
  static final int BODY = 28;
  private static final int STATUS = 20;
  private static final int TRANSACTION = 24;
  private static final int FLAGS = 25;

  final TestLine line;
  final ChannelHandler handler;

  /// Opens the channel.
  TestDriver(IntegrationService service, boolean restored) {
    line = new TestLine(restored);
    handler = service.open(line);
  }

  /// Opens the channel and agrees on a version.
  static TestDriver ready(IntegrationService service, int major, int minor) throws Exception {
    var driver = new TestDriver(service, false);
    driver.negotiate(major, minor);
    return driver;
  }

  void negotiate(int major, int minor) throws InterruptedException {
    var answer = line.take();
    if (answer.getShort(12) != 0) {
      throw new AssertionError("no negotiation");
    }
    answer.put(FLAGS, (byte) 5).putShort(28, (short) 1).putShort(30, (short) 1);
    answer.putShort(36, (short) 3).putShort(38, (short) 0);
    answer.putShort(40, (short) major).putShort(42, (short) minor);
    give(answer.array());
  }

  /// The next request.
  ByteBuffer take() throws InterruptedException {
    return line.take();
  }

  void give(byte[] payload) {
    handler.received(TestLine.packet(payload));
  }

  /// Answers with the request's own bytes, as Linux does.
  void answer(ByteBuffer request, int status) {
    answer(request, status, _ -> {});
  }

  /// Answers with the request's own bytes but for those that are changed.
  void answer(ByteBuffer request, int status, Consumer<ByteBuffer> change) {
    var answer = ByteBuffer.wrap(request.array().clone()).order(ByteOrder.LITTLE_ENDIAN);
    answer.putInt(STATUS, status).put(FLAGS, (byte) 5);
    change.accept(answer);
    give(answer.array());
  }

  /// The transaction of a request.
  static int transaction(ByteBuffer request) {
    return request.get(TRANSACTION) & 0xFF;
  }
}
