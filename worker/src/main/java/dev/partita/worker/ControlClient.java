package dev.partita.worker;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// A client of a partition's {@link ControlSocket}: one request a connection.
public final class ControlClient implements AutoCloseable {
  /// Bytes of an answer, at most.
  private static final int MAXIMUM_ANSWER = 1 << 20;

  private final SocketChannel channel;

  /// Connects and sends a request.
  ///
  /// @param request one of those {@link ControlSocket} names
  /// @throws IOException if nobody listens
  public ControlClient(Path socket, String request) throws IOException {
    channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    boolean sent = false;
    try {
      output().write((request + "\n").getBytes(StandardCharsets.US_ASCII));
      sent = true;
    } finally {
      if (!sent) {
        channel.close();
      }
    }
  }

  /// The whole answer, when the partition has given it.
  public String answer() throws IOException {
    return new String(input().readNBytes(MAXIMUM_ANSWER), StandardCharsets.UTF_8);
  }

  /// The first line of the answer, and nothing after it.
  public String firstLine() throws IOException {
    var line = new StringBuilder();
    var in = input();
    for (int c = in.read(); c >= 0 && c != '\n'; c = in.read()) {
      line.append((char) c);
    }
    return line.toString();
  }

  /// What the partition sends, unbuffered.
  public InputStream input() {
    return Channels.newInputStream(channel);
  }

  /// What the partition receives, unbuffered.
  public OutputStream output() {
    return Channels.newOutputStream(channel);
  }

  /// Tells the partition that nothing more comes; it can still be read from.
  public void endOutput() throws IOException {
    channel.shutdownOutput();
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // Closed is what it is to be.
    }
  }
}
