# Asterisk 22 from Debian, with the configuration of asterisk-conf/.

FROM debian:sid-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends asterisk \
    && rm -rf /var/lib/apt/lists/*
COPY asterisk-conf/manager.conf asterisk-conf/pjsip.conf asterisk-conf/extensions.conf /etc/asterisk/
COPY docker/asterisk-start.sh /usr/local/bin/asterisk-start
RUN chown -R asterisk:asterisk /etc/asterisk \
    && install -d -o asterisk -g asterisk /run/asterisk \
    && chmod 755 /usr/local/bin/asterisk-start
USER asterisk
EXPOSE 5060/udp
ENTRYPOINT ["asterisk-start"]
CMD ["asterisk", "-f"]
